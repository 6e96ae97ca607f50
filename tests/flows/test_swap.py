"""Two state directories change places: wholly, or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import plan as planning
from flows import swap
from flows.handover import promote
from flows.plan import Plan
from flows.swap import BEFORE, PENDING, SEAM
from state.errors import StateError


def state(folder: Path, what: str) -> Path:
    root = folder / "shop"
    root.mkdir(parents=True)
    (root / "oncue.json").write_text(what)
    return root


def made(tmp_path: Path) -> tuple[Path, Path]:
    """A new state that is ready, and a live one that has replaced another before."""
    new, live = state(tmp_path / "new", "new"), state(tmp_path / "live", "old")
    state(tmp_path / "live" / BEFORE, "oldest")
    (new / PENDING).write_text("a position")
    return new, live


def there(root: Path) -> str:
    return (root / "oncue.json").read_text()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip(
            f"there is no second file system: {memory} cannot be written, or {tmp_path} is on it, too"
        )
    folder = Path(tempfile.mkdtemp(prefix="oncue-", dir=memory))
    yield folder
    shutil.rmtree(folder)


def test_a_state_on_another_file_system_is_refused_before_anything_is_asked_of_anybody(
    elsewhere: Path, tmp_path: Path
) -> None:
    new, live = state(elsewhere, "new"), state(tmp_path / "live", "old")
    planning.write(new, Plan(asked={}, playbook="", space="", output="shadow", parts=[], round=1))
    with pytest.raises(StateError, match=rf"{new} is on another file system than {live}: .* Move it there"):
        promote(elsewhere, tmp_path / "live", "nobody:1")
    with pytest.raises(StateError, match=r"cannot put .* in the place of"):  # had it not been noticed
        swap.swap(new, live)
    assert (there(new), there(live)) == ("new", "old")
    left = {path.name for folder in (elsewhere, tmp_path / "live") for path in folder.iterdir()}
    assert left == {"shop", BEFORE}


def test_the_new_state_is_live_and_the_old_one_is_the_way_back(tmp_path: Path) -> None:
    new, live = made(tmp_path)
    swap.check(new, live)
    swap.swap(new, live)
    assert (there(live), there(live.parent / BEFORE / "shop")) == ("new", "old")
    assert (live / SEAM).read_text() == "a position"
    back = live.parent / BEFORE / "shop"
    swap.swap(back, live)
    assert (there(live), there(back)) == ("old", "new")
    assert swap.settle(live.parent) is None, "nothing had broken off"


def test_two_promotes_do_not_work_on_one_state_directory_at_once(tmp_path: Path) -> None:
    new, live = made(tmp_path)
    with swap.alone(live.parent), pytest.raises(StateError, match="another oncue promote is at work on"):
        promote(new.parent, live.parent, "nobody:1")
    assert (there(new), there(live)) == ("new", "old")


class Killed(BaseException):
    """As if by kill -9, as far as the file system can tell."""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_what_a_crash_leaves_between_two_renames_is_settled_by_the_next_promote(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, live = made(tmp_path)
    left = after

    def rename(self: Path, target: Path) -> Path:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        return whole(self, target)

    with monkeypatch.context() as patched:
        whole = Path.rename
        patched.setattr(Path, "rename", rename)
        with pytest.raises(Killed):
            swap.swap(new, live)
    if after == 1:
        with pytest.raises(StateError, match="is not there because oncue promote broke off"):
            swap.check_settled(live)
        assert swap.settle(live.parent) is None
        assert (there(new), there(live)) == ("new", "old")
        assert (new / PENDING).exists()
    else:
        assert swap.settle(live.parent) == live
        assert (there(live), there(live.parent / BEFORE / "shop")) == ("new", "old")
        assert (live / SEAM).read_text() == "a position"
    swap.check_settled(live)
    assert not list(live.parent.glob("**/*.aside"))
