"""The Dockerfile's steps, done on this machine without a container engine.

    python deploy/image_steps.py FOLDER

COPY and RUN are carried out in a new folder that stands for the image's root: /opt, /src, /wheels and /state
in them mean folders in it. Steps for which one has to own the machine (OWNERS) are named and left out. Then
what was installed runs as the image would: without this checkout, by a user who can write to the state
directory only (if this is root, who can become another, and Python and the folder are open to others), and
may not have changed the image. Needs a package index and Python only, nothing that is installed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
USER = 10001
OWNERS = ("useradd", "apt-get")
ROOTED = re.compile(r"(?<![\w./])/(opt|src|wheels|state)\b")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Name and rest of each, lines that go on joined."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name.upper(), " ".join(rest.split())


def build(root: Path) -> None:
    folder = root
    for name, rest in instructions((CHECKOUT / "Dockerfile").read_text()):
        if name == "WORKDIR":
            folder = root / rest.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif name == "COPY" and not rest.startswith("--from"):
            _copy(folder, rest.split())
        elif name == "RUN" and any(program in rest for program in OWNERS):
            print(f"left out: RUN {rest}", flush=True)
        elif name == "RUN":
            print(f"RUN {rest}", flush=True)
            command = ROOTED.sub(lambda found: f"{root}/{found[1]}", rest)
            subprocess.run(["sh", "-ec", command], cwd=folder, env=_environment(root), check=True)


def _copy(folder: Path, words: list[str]) -> None:
    *sources, target = words
    for source in sources:
        there = folder / target / Path(source).name if target.endswith("/") else folder / target
        there.parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / source).is_dir():
            shutil.copytree(CHECKOUT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / source, there)


def try_it(root: Path) -> None:
    """Check the playbook that ships, then events through the whole program, on its own broker."""
    oncue, state, temporary = root / "opt" / "oncue" / "bin" / "oncue", root / "state", root / "tmp"
    for folder in (state, temporary):
        folder.mkdir(exist_ok=True)
    before = _files(root / "opt")
    other = os.geteuid() == 0 and _open_to_all(Path(sys.base_prefix)) and _open_to_all(root.parent)
    if not other:
        print("left out: to run as another user", flush=True)
    if other:
        root.chmod(0o755)
        for folder in (state, temporary):
            os.chown(folder, USER, USER)
    playbook = next((root / "opt" / "oncue").glob("lib/python*/site-packages/flows/playbooks/retail.yaml"))
    for words in (["check", playbook], ["demo", "--speed", "4000", "--json", state / "demo.json"]):
        print("oncue", *words, flush=True)
        subprocess.run(
            [oncue, *words], cwd="/", check=True,
            env=_environment(root) | _said(root) | {"TMPDIR": str(temporary)},
            stdout=subprocess.DEVNULL, user=USER if other else None, group=USER if other else None,
            extra_groups=[] if other else None,
        )  # fmt: skip
    written = _files(root / "opt") ^ before
    if written:
        sys.exit(f"it wrote into the image: {min(written)}")


def _said(root: Path) -> dict[str, str]:
    """What ENV says."""
    told = (rest for name, rest in instructions((CHECKOUT / "Dockerfile").read_text()) if name == "ENV")
    pairs = (pair.partition("=") for rest in told for pair in rest.split())
    return {name: ROOTED.sub(lambda found: f"{root}/{found[1]}", value) for name, _, value in pairs}


def _files(folder: Path) -> set[tuple[str, int]]:
    """Each file and folder under it, with the nanosecond when it was last changed."""
    return {(str(path), path.lstat().st_mtime_ns) for path in folder.rglob("*")}


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & stat.S_IXOTH for path in (folder, *folder.parents))


def _environment(root: Path) -> dict[str, str]:
    """Nothing of this machine's, and `python` is this one."""
    programs = root / "programs"
    programs.mkdir(exist_ok=True)
    if not (programs / "python").exists():
        (programs / "python").symlink_to(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}")
    kept = {name: os.environ[name] for name in os.environ if name.startswith(("PIP_", "HTTP", "http", "SSL"))}
    return {**kept, "PATH": f"{programs}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(root)}


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    root = Path(sys.argv[1]).resolve()
    root.mkdir(parents=True)
    build(root)
    try_it(root)
    print("the image's steps work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
