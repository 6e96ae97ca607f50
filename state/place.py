"""A second place for a scope's state: any URL that fsspec understands.

<url>/<scope>/files/<sha256>          every file of every backup, once
<url>/<scope>/backups/<time>-<cut>.json  what a backup consists of; written last, so it is whole or not there
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from state.errors import StateError

FORMAT = 1
_CHUNK = 1 << 20
_NAME = re.compile(r"\d{8}T\d{6}Z-\d{12}")


class Manifest(msgspec.Struct, frozen=True):
    """One backup. `files`: path in the scope's folder -> (sha256, bytes). `made` is in ISO 8601, UTC."""

    scope: str
    made: str
    cut: int
    files: dict[str, tuple[str, int]]
    format: int = FORMAT


class Damaged(StateError):
    """A file of a backup is missing or is not what it was."""


class Place:
    """The backups of one scope. Every error of the store behind it is a StateError that names the URL."""

    def __init__(self, url: str, scope: str) -> None:
        self.url = f"{url.rstrip('/')}/{scope}"
        self._fs, self._root = _open(self.url)

    def names(self) -> list[str]:
        """Of all backups, oldest first."""
        with self._explained("cannot list the backups in"):
            found = [Path(path).stem for path in self._list("backups")]
        return sorted(name for name in found if _NAME.fullmatch(name))

    def manifest(self, name: str) -> Manifest | None:
        """None when there is none of that name, or it was never finished. Raises StateError for a format from
        the future."""
        with self._explained("cannot read the backups in"):
            try:
                raw = self._fs.cat_file(self._manifest(name))
            except FileNotFoundError:
                return None
        try:
            found = msgspec.json.decode(raw, type=Manifest)
        except msgspec.DecodeError:
            return None
        if found.format > FORMAT:
            raise StateError(
                f"the backup {name} in {self.url} is of format {found.format}, made by a newer oncue; "
                f"this one reads formats up to {FORMAT}. Use the newer oncue, or another backup"
            )
        return found

    def sizes(self) -> dict[str, int]:
        """Bytes by sha256 of every file there."""
        with self._explained("cannot list"):
            return {Path(path).name: int(about["size"]) for path, about in self._list("files").items()}

    def put(self, local: Path, sha256: str) -> None:
        with self._explained("cannot write to"):
            self._fs.put_file(str(local), self._file(sha256))

    def get(self, sha256: str, local: Path) -> None:
        """Raises Damaged."""
        with self._explained("cannot read from"):
            try:
                self._fs.get_file(self._file(sha256), str(local))
            except FileNotFoundError:
                raise Damaged(f"{self.url}/files/{sha256} is missing") from None
        if digest(local) != sha256:
            raise Damaged(f"{self.url}/files/{sha256} is damaged: its content has another checksum")

    def finish(self, name: str, manifest: Manifest) -> None:
        with self._explained("cannot write to"):
            self._fs.pipe_file(self._manifest(name), msgspec.json.encode(manifest))

    def prepare(self) -> None:
        with self._explained("cannot write to"):
            for folder in ("files", "backups"):
                self._fs.makedirs(f"{self._root}/{folder}", exist_ok=True)

    def prune(self, keep: int) -> int:
        """Delete all but the newest `keep` backups, and every file that none of those names; how many files.

        Manifests go first: whatever moment this ends at, no backup lacks a file.
        """
        manifests = {name: self.manifest(name) for name in self.names()}
        kept = [name for name in manifests if manifests[name] is not None][-keep:]
        named = {sha256 for name in kept for sha256, _ in _files(manifests[name])}
        with self._explained("cannot delete in"):
            for name in manifests:
                if name not in kept:
                    self._fs.rm_file(self._manifest(name))
            unnamed = [sha256 for sha256 in self.sizes() if sha256 not in named]
            for sha256 in unnamed:
                self._fs.rm_file(self._file(sha256))
        return len(unnamed)

    def _list(self, folder: str) -> dict[str, dict[str, Any]]:
        self._fs.invalidate_cache()
        try:
            found: dict[str, dict[str, Any]] = self._fs.find(f"{self._root}/{folder}", detail=True)
        except FileNotFoundError:
            return {}
        return found

    def _file(self, sha256: str) -> str:
        return f"{self._root}/files/{sha256}"

    def _manifest(self, name: str) -> str:
        return f"{self._root}/backups/{name}.json"

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except StateError:
            raise
        except Exception as error:  # each kind of store has its own
            raise StateError(f"{what} {self.url}: {error or type(error).__name__}") from None


def check(url: str) -> None:
    """Raises StateError when this can never be a place, whatever the network says."""
    _open(url)


def scopes(url: str) -> list[str]:
    """The scopes that have backups at a URL."""
    fs, root = _open(url.rstrip("/"))
    try:
        folders = [about["name"] for about in fs.ls(root, detail=True) if about["type"] == "directory"]
        return sorted(Path(folder).name for folder in folders if fs.exists(f"{folder}/backups"))
    except FileNotFoundError:
        return []
    except Exception as error:
        raise StateError(f"cannot list {url}: {error or type(error).__name__}") from None


def digest(file: Path, read: Callable[[int], None] = lambda count: None) -> str:
    """SHA-256 in hexadecimal."""
    sha256 = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(_CHUNK):
            sha256.update(chunk)
            read(len(chunk))
    return sha256.hexdigest()


def _files(manifest: Manifest | None) -> list[tuple[str, int]]:
    return list(manifest.files.values()) if manifest is not None else []


def _open(url: str) -> tuple[Any, str]:
    import fsspec  # takes 0.15 s, which every command would pay

    try:
        fs, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise StateError(f"{url}: {error}") from None
    except ValueError as error:
        raise StateError(f"{url} is no place for backups: {error}") from None
    return fs, str(root).rstrip("/")
