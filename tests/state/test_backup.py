"""Backups of a state directory: what travels, what comes back, what a crash or damage leaves."""

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import fsspec
import pytest

from state import backup as copying
from state import points, verify
from state.backup import backup, restore
from state.errors import StateError
from state.place import Place
from state.store import Store, checkpoints

SHARDS = 2
STEPS = ("resolve", "shard-00", "shard-01")


class Scope:
    """A scope's folder, filled as a run fills it: `epoch` keeps a cut in every step that has changes."""

    def __init__(self, state: Path) -> None:
        self.state, self.root = state, state / "shop"
        self.root.mkdir(parents=True)
        (self.root / "oncue.json").write_text(json.dumps({"shards": SHARDS}))
        (self.root / "playbook.yaml").write_text("scope: shop\n")
        self.stores = {step: Store(self.root / step, 1, None) for step in STEPS}

    def epoch(self, cut: int, *steps: str, size: int = 2000) -> None:
        for step in steps or STEPS:
            store = self.stores[step]
            store.write([(b"cut", str(cut).encode()), (b"k%d" % cut, os.urandom(size))])
            store.checkpoint(cut, 0)
        points.Points(self.root / "points", points.SEQUENCE).keep(cut, b"position %d" % cut)
        points.Points(self.root / "points", "sink-0").keep(cut, b"low %d" % cut)


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    return Scope(tmp_path / "state")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "place")


def content(root: Path, first: int) -> dict[str, bytes | None]:
    """What each step of a copy says when it goes on with cut `first`."""
    found = {}
    for step in STEPS:
        store = Store(root / step, first, None)
        found[step] = store.get(b"cut")
        store.close()
    return found


def test_a_restored_scope_holds_every_step_as_of_the_newest_point(
    scope: Scope, url: str, tmp_path: Path
) -> None:
    scope.epoch(5)
    scope.epoch(9, "resolve", "shard-01")  # nothing happened in shard 0
    for store in scope.stores.values():
        store.checkpoint(12, 0)  # the epoch that is under way: no point yet
    (scope.root / "replay.json").write_text("a plan")
    (scope.root / "model-churn.json").write_text("a model")
    for file in ("lock", "lock-3", "replay.json.tmp"):
        (scope.root / file).write_text("of somebody who uses the directory")
    made = backup(scope.root, url)
    found = restore(url, tmp_path / "other")
    files = {path.name for path in found.root.iterdir() if path.is_file()}
    assert files == {"oncue.json", "playbook.yaml", "replay.json", "model-churn.json"}
    assert (made.cut, found.cut, found.name) == (9, 9, made.name)
    assert points.read(found.root / "points", points.SEQUENCE) == [(9, b"position 9")]
    assert points.read(found.root / "points", "sink-0") == [(9, b"low 9")]
    assert (found.root / "playbook.yaml").read_text() == "scope: shop\n"
    assert content(found.root, 10) == {"resolve": b"9", "shard-00": b"5", "shard-01": b"9"}


def test_only_table_files_that_are_new_travel(scope: Scope, url: str) -> None:
    scope.epoch(1, size=300_000)
    first = backup(scope.root, url)
    assert first.sent == len(list(Path(url, "shop", "files").iterdir()))
    assert first.sent_bytes > 900_000
    scope.epoch(2, size=1000)
    second = backup(scope.root, url)
    assert second.bytes > 900_000
    assert second.sent_bytes < 100_000
    tables = {path.name for path in checkpoints(scope.root / "resolve")[0][2].glob("*.sst")}
    assert tables, "nothing was compared"
    (scope.root / "digests.json").unlink()  # what is known of table files is only a saving
    again = backup(scope.root, url)
    assert again.sent_bytes == 0


def test_a_backup_that_was_cut_short_leaves_the_earlier_ones_whole(
    scope: Scope, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope.epoch(1)
    first = backup(scope.root, url)
    scope.epoch(2)
    sent = []

    def die(self: Place, local: Path, sha256: str) -> None:
        Path(url, "shop", "files", sha256).write_bytes(local.read_bytes()[:10])
        sent.append(sha256)
        if len(sent) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Place, "put", die)
        with pytest.raises(KeyboardInterrupt):
            backup(scope.root, url)
    assert restore(url, tmp_path / "a").name == first.name
    whole = backup(scope.root, url)
    assert whole.cut == 2
    assert content(restore(url, tmp_path / "b").root, 3)["resolve"] == b"2", "half a file was taken for it"


def test_pruning_keeps_what_the_kept_ones_need_and_nothing_else(
    scope: Scope, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(f"20260101T00000{n}Z" for n in range(9))
    monkeypatch.setattr(copying, "datetime", Clock(names))
    for cut in (1, 2, 3, 4):
        scope.epoch(cut)
        made = backup(scope.root, url, keep=2)
    place = Place(url, "shop")
    assert [name[-1] for name in place.names()] == ["3", "4"]
    assert made.removed > 0
    named = set()
    for name in place.names():
        manifest = place.manifest(name)
        assert manifest is not None
        named |= {sha256 for sha256, _ in manifest.files.values()}
    assert set(place.sizes()) == named
    for name in place.names():
        restored = restore(url, tmp_path / name, name=name)
        assert content(restored.root, 9)["shard-00"] == name[-1].encode()


class Clock:
    """Backups within one second of each other, told apart."""

    def __init__(self, names: Any) -> None:
        self._names = names

    def now(self, zone: object) -> "Clock":
        return self

    def isoformat(self, timespec: str) -> str:
        return "2026-01-01T00:00:00+00:00"

    def __format__(self, form: str) -> str:
        return str(next(self._names))


def test_a_damaged_backup_is_refused_and_the_others_are_named(scope: Scope, url: str, tmp_path: Path) -> None:
    scope.epoch(1)
    first = backup(scope.root, url)
    scope.epoch(2)
    second = backup(scope.root, url)
    place = Place(url, "shop")
    files = [place.manifest(name) for name in (first.name, second.name)]
    assert files[0] is not None
    assert files[1] is not None
    (victim, *_) = {sha for sha, _ in files[1].files.values()} - {sha for sha, _ in files[0].files.values()}
    path = Path(url, "shop", "files", victim)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(StateError, match=f"{victim} is damaged.*--backup: {first.name}"):
        restore(url, tmp_path / "other")
    assert not (tmp_path / "other" / "shop").exists()
    assert restore(url, tmp_path / "other", name=first.name).cut == 1


def test_state_that_is_there_is_never_overwritten(scope: Scope, url: str) -> None:
    scope.epoch(1)
    backup(scope.root, url)
    with pytest.raises(StateError, match="is there already; move it away"):
        restore(url, scope.state)


def test_what_is_not_there_is_said(scope: Scope, url: str, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="holds no backup of oncue"):
        restore(url, tmp_path / "other")
    with pytest.raises(StateError, match="is no place for backups"):
        backup(scope.root, "nonsense://somewhere")
    scope.epoch(1)
    backup(scope.root, url)
    with pytest.raises(StateError, match="no whole backup yesterday; there is: "):
        restore(url, tmp_path / "other", name="yesterday")


def test_before_anything_is_durable_there_is_nothing_to_back_up(
    scope: Scope, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "TRIES", 2)
    with pytest.raises(StateError, match="no point to go on from yet"):
        backup(scope.root, url)
    assert not Path(url).exists()
    assert not list(scope.root.glob(".backup-*"))


def test_any_file_system_of_fsspec_will_do(scope: Scope, tmp_path: Path) -> None:
    scope.epoch(1)
    backup(scope.root, "memory://backups")
    backup(scope.root, "memory://backups", keep=1)
    try:
        assert restore("memory://backups", tmp_path / "other").cut == 1
    finally:
        fsspec.filesystem("memory").rm("/backups", recursive=True)


def checked(scope: Scope) -> dict[str, str | None]:
    return {f"{it.step}/{it.cut}": it.problem for it in verify.verify(scope.root)}


def spoil(scope: Scope, step: str, cut: int, pattern: str = "*.sst") -> None:
    """Damage a file that only this checkpoint has."""
    path = next(path for at, _, path in checkpoints(scope.root / step) if at == cut)
    file = max(path.glob(pattern), key=lambda file: file.name)
    raw = bytearray(file.read_bytes())
    raw[20] ^= 0xFF
    file.unlink()
    file.write_bytes(raw)


@pytest.mark.parametrize("pattern", ["*.sst", "MANIFEST-*", "CURRENT"])
def test_damage_is_found_wherever_it_is(scope: Scope, pattern: str) -> None:
    for cut in (1, 2, 3):
        scope.epoch(cut)
    assert set(checked(scope)) == {f"{step}/{cut}" for step in STEPS for cut in (1, 2, 3)}
    assert set(checked(scope).values()) == {None}
    path = next(path for at, _, path in checkpoints(scope.root / "shard-00") if at == 2)
    if pattern == "CURRENT":
        (path / "CURRENT").unlink()
    else:
        spoil(scope, "shard-00", 2, pattern)
    assert [name for name, problem in checked(scope).items() if problem] == ["shard-00/2"]


def test_repair_goes_back_to_the_newest_point_where_everything_is_whole(scope: Scope) -> None:
    for cut in (1, 2, 3):
        scope.epoch(cut, *(STEPS if cut != 2 else ("resolve", "shard-01")))
    spoil(scope, "shard-00", 3)
    for store in scope.stores.values():
        store.close()
    (scope.root / "recovery").mkdir()
    (scope.root / "recovery" / "rows").touch()
    done = verify.repair(scope.root, list(verify.verify(scope.root)), lambda folder: (folder / "new").touch())
    assert (done.cut, done.before) == (2, 3)
    assert [path.name for path in done.removed] == [f"ckpt-{3:012d}-{0:012d}"]
    assert [path.name for path in (scope.root / "recovery").iterdir()] == ["new"]
    assert points.read(scope.root / "points", points.SEQUENCE) == [(2, b"position 2")]
    assert content(scope.root, 3) == {"resolve": b"2", "shard-00": b"1", "shard-01": b"2"}


def test_what_cannot_be_repaired_is_left_as_it_is_and_the_ways_out_are_named(scope: Scope) -> None:
    scope.epoch(1, "shard-00")
    for cut in (2, 3, 4):
        scope.epoch(cut, "resolve", "shard-01")
    spoil(scope, "shard-00", 1)
    before = sorted(path for path in scope.root.rglob("*"))
    with pytest.raises(StateError, match=r"cannot be repaired.*oncue restore URL.*repeats all 4 cuts"):
        verify.repair(scope.root, list(verify.verify(scope.root)), lambda folder: None)
    assert sorted(path for path in scope.root.rglob("*")) == before


def test_a_damaged_recovery_store_is_found(scope: Scope) -> None:
    scope.epoch(1)
    (scope.root / "recovery").mkdir()
    whole, torn = (scope.root / "recovery" / f"part-{n}.sqlite3" for n in (0, 1))
    with sqlite3.connect(whole) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()
    shutil.copy(whole, torn)
    torn.write_bytes(b"not a database" * 300)
    found = {it.path.name: it.problem for it in verify.verify(scope.root) if it.step == "recovery"}
    assert found["part-0.sqlite3"] is None
    assert found["part-1.sqlite3"] is not None
