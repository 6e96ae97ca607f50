"""Reading state from outside while a store is open and written."""

import threading
from pathlib import Path

import pytest

from state import reading
from state.errors import StateError
from state.store import Store, checkpoints


def test_there_is_nothing_to_read_before_the_first_checkpoint(tmp_path: Path) -> None:
    with reading.newest(tmp_path / "s") as database:
        assert database is None
    store = Store(tmp_path / "s", 1, None)
    with reading.newest(tmp_path / "s") as database:
        assert database is None
    store.close()


def test_the_newest_checkpoint_is_read_and_not_what_came_after_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    for cut in (1, 2):
        store.write([(b"k", str(cut).encode())])
        store.checkpoint(cut, 0)
    store.write([(b"k", b"later")])
    with reading.newest(tmp_path / "s") as database:
        assert database is not None
        assert database.get(b"k") == b"2"
    store.close()


def test_a_reader_keeps_what_it_opened_while_the_writer_deletes_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    store.write([(b"k", b"1")])
    store.checkpoint(1, 0)
    with reading.newest(tmp_path / "s") as database:
        for cut in range(2, 6):
            store.write([(b"k", str(cut).encode())])
            store.checkpoint(cut, 0)
        assert [cut for cut, _, _ in checkpoints(tmp_path / "s")] == [3, 4, 5]
        assert database is not None
        assert database.get(b"k") == b"1"
    store.close()
    assert [path.name for path in tmp_path.iterdir()] == ["s"], "the reader left something behind"


def test_readers_see_whole_cuts_while_checkpoints_come_and_go(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    stop = threading.Event()
    written = [0]

    def write() -> None:
        while not stop.is_set():
            cut = written[0] + 1
            store.write([(b"a", str(cut).encode()), (b"b", str(cut).encode())])
            store.checkpoint(cut, 0)
            written[0] = cut

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = []
        while written[0] < 30:
            least = written[0]
            with reading.newest(tmp_path / "s") as database:
                if database is not None:
                    a, b = database.get(b"a"), database.get(b"b")
                    assert a == b
                    assert int(a) >= least
                    seen.append(int(a))
        assert seen == sorted(seen)
        assert seen
    finally:
        stop.set()
        writer.join()
        store.close()


def test_a_damaged_checkpoint_is_an_error_that_names_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "s", 1, None)
    store.write([(b"k", b"v")])
    store.checkpoint(1, 0)
    store.close()
    next(checkpoints(tmp_path / "s")[0][2].glob("MANIFEST-*")).write_bytes(b"nonsense")
    with pytest.raises(StateError, match=str(tmp_path / "s")), reading.newest(tmp_path / "s"):
        pass
