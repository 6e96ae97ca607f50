"""A shard's store: which checkpoint it opens, what it says when it cannot, that a failure loses nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from state.errors import StateError
from state.store import Store, checkpoints

MANY = [(b"k%05d" % n, os.urandom(64)) for n in range(2000)]


def put(store: Store, **values: str) -> None:
    store.write((key.encode(), value.encode()) for key, value in values.items())


def made(folder: Path, *cuts: int, run: int = 0) -> None:
    """A store that was checkpointed at these cuts; the key `cut` says at which."""
    store = Store(folder, 1, None)
    for cut in cuts:
        put(store, cut=str(cut))
        store.checkpoint(cut, run)
    store.close()


def names(folder: Path) -> list[tuple[int, int]]:
    return [(cut, run) for cut, run, _ in checkpoints(folder)]


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.iterdir()}


def test_the_first_cut_decides_which_checkpoint_is_opened_not_the_token(tmp_path: Path) -> None:
    made(tmp_path / "s", 5, 9)
    for token in (None, 5, 9):
        copy = tmp_path / f"copy-{token}"
        shutil.copytree(tmp_path / "s", copy)
        store = Store(copy, 9, token)  # cut 9 comes again: the checkpoint that includes it is of no use
        assert store.get(b"cut") == b"5"
        store.close()


def test_checkpoints_of_cuts_that_will_be_repeated_are_deleted(tmp_path: Path) -> None:
    made(tmp_path / "s", 5, 9)
    Store(tmp_path / "s", 7, 9).close()
    assert names(tmp_path / "s") == [(5, 0)]


def test_of_two_checkpoints_of_one_cut_the_later_runs_is_opened(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = Store(folder, 1, None)
    put(store, by="old")
    store.checkpoint(5, 3)
    put(store, by="new")
    store.checkpoint(5, 40)
    store.close()
    store = Store(folder, 6, 5)
    assert store.get(b"by") == b"new"
    store.close()


def test_what_was_written_after_the_last_checkpoint_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = Store(folder, 1, None)
    put(store, a="kept")
    store.checkpoint(1, 0)
    put(store, a="repeated from Kafka", b="repeated from Kafka")
    store.flush()
    store.close()
    store = Store(folder, 2, 1)
    assert (store.get(b"a"), store.get(b"b")) == (b"kept", None)
    store.close()


def test_the_last_three_checkpoints_stay_because_older_ones_may_still_be_needed(tmp_path: Path) -> None:
    made(tmp_path / "s", 1, 2, 3, 4)
    assert names(tmp_path / "s") == [(2, 0), (3, 0), (4, 0)]
    Store(tmp_path / "s", 4, 3).close()
    assert names(tmp_path / "s") == [(2, 0), (3, 0)], "cut 4 comes again"


def test_an_orphan_of_a_crashed_run_does_not_push_out_the_named_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made(folder, 5)
    for run in range(1, 4):  # each dies after a checkpoint that no snapshot names
        store = Store(folder, 6, 5)
        store.checkpoint(6 + run, run)
        store.close()
        assert (5, 0) in names(folder)


def test_a_missing_checkpoint_is_an_error_that_says_what_is_there_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made(folder, 5, 9)
    shutil.rmtree(checkpoints(folder)[1][2])
    with pytest.raises(StateError) as raised:
        Store(folder, 10, 9)
    said = str(raised.value)
    assert "checkpoint of cut 9 is missing" in said
    assert str(folder) in said
    assert "found 5" in said
    assert "To rebuild" in said
    assert names(folder) == [(5, 0)], "what is left was touched"


def test_an_emptied_folder_is_an_error_unless_the_first_cut_is_the_first_of_all(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no checkpoint before cut 7"):
        Store(tmp_path / "s", 7, None)
    store = Store(tmp_path / "s", 1, None)
    assert store.get(b"anything") is None
    store.close()


def test_a_checkpoint_is_never_opened_in_place(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = Store(folder, 1, None)
    store.write(MANY)
    store.checkpoint(1, 0)
    store.close()
    before = files(checkpoints(folder)[0][2])
    store = Store(folder, 2, 1)
    store.write([(key, b"changed") for key, _ in MANY])
    store.flush()
    assert files(checkpoints(folder)[0][2]) == before
    store.checkpoint(2, 1)
    store.close()
    assert files(checkpoints(folder)[0][2]) == before
    again = Rdict(str(checkpoints(folder)[0][2]), Options(raw_mode=True))
    assert again.get(MANY[0][0]) == MANY[0][1]
    again.close()


def test_scan_gives_a_half_open_range_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    put(store, b="2", a="1", c="3", d="4")
    store.write([(b"c", None)])
    assert list(store.scan(b"a", b"d")) == [(b"a", b"1"), (b"b", b"2")]
    store.close()


def read_all(store: Store) -> None:
    for key, value in MANY:
        assert store.get(key) == value


def damage(folder: Path, how: str) -> Path:
    """Damage the newest checkpoint; returns the file."""
    checkpoint = checkpoints(folder)[-1][2]
    pattern = "MANIFEST-*" if "manifest" in how else "CURRENT" if "current" in how else "*.sst"
    victim = next(iter(checkpoint.glob(pattern)))
    raw = victim.read_bytes()
    if "missing" in how:
        victim.unlink()
    elif "truncated" in how:
        victim.write_bytes(raw[: len(raw) // 2])
    else:
        begin, end = len(raw) // 3, len(raw) // 2
        victim.write_bytes(raw[:begin] + bytes(b ^ 0xFF for b in raw[begin:end]) + raw[end:])
    return victim


@pytest.mark.parametrize(
    "how",
    [
        "truncated sst",
        "missing sst",
        "flipped sst",
        "truncated manifest",
        "flipped manifest",
        "missing current",
    ],
)
def test_a_damaged_checkpoint_is_an_error_that_names_it_and_says_what_to_do(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "s"
    store = Store(folder, 1, None)
    store.write(MANY)
    store.checkpoint(1, 0)
    store.close()
    victim = damage(folder, how)
    with pytest.raises(StateError) as raised:
        read_all(Store(folder, 2, 1))
    assert str(victim.parent) in str(raised.value)
    assert "To rebuild" in str(raised.value)


def test_damage_met_in_a_scan_is_a_state_error_too(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = Store(folder, 1, None)
    store.write(MANY)
    store.checkpoint(1, 0)
    store.close()
    damage(folder, "flipped sst")
    store = Store(folder, 2, 1)
    with pytest.raises(StateError, match="To rebuild"):
        list(store.scan(b"k", b"l"))
    store.close()


# A process of its own: the limit on the size of its files is what a full disk looks like to it.
_FULL = """
import os, resource, sys
from pathlib import Path
from state.errors import StateError
from state.store import Store
folder, first, token, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) or None, int(sys.argv[4])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    store = Store(folder, first, token)
    print(store.get(b"old"), len(list(store.scan(b"k", b"l"))))
    store.write([(b"k%05d" % n, os.urandom(64)) for n in range(5000)])
    store.checkpoint(first, first)
except StateError as error:
    print(error)
    sys.exit(2)
"""


def on_a_disk(folder: Path, first: int, token: int, limit: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", _FULL, str(folder), str(first), str(token), str(limit)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode in (0, 2), done.stderr
    return done.returncode, done.stdout


def test_a_full_disk_is_an_error_that_loses_nothing_and_goes_away_with_its_cause(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    store = Store(folder, 1, None)
    put(store, old="kept")
    store.checkpoint(1, 0)
    store.close()
    code, said = on_a_disk(folder, 2, 1, limit=100_000)
    assert code == 2
    assert f"cannot write the state in {folder}" in said
    assert "Nothing is lost" in said
    assert "make room" in said
    assert "To rebuild" not in said
    assert on_a_disk(folder, 2, 1, limit=0) == (0, "b'kept' 0\n")
    assert on_a_disk(folder, 3, 2, limit=0) == (0, "b'kept' 5000\n")


def test_a_disk_too_full_to_open_the_state_on_does_not_call_for_a_rebuild(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    made(folder, 1)
    code, said = on_a_disk(folder, 2, 1, limit=10)
    assert code == 2
    assert "Nothing is lost" in said
    assert "To rebuild" not in said
    assert on_a_disk(folder, 2, 1, limit=0)[0] == 0
