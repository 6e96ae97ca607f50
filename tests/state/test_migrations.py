"""State of an earlier format is brought up when it is opened; of a later one it is refused.

There is one format so far: what changes to the next is made up here.
"""

import json
from pathlib import Path

import pytest

from operators import migrations as record_migrations
from operators import records
from operators.parts import Pattern
from operators.records import Record
from state import directory as directories
from state import migrations
from state.directory import Directory
from state.errors import StateError
from state.migrations import Database
from state.store import Store

FIXED = {"shards": 1, "partitions": 1}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A store of the present format with one checkpoint, of cut 5."""
    store = Store(tmp_path / "shard-00", 1, None)
    store.write([(b"cann", b"1"), (b"cbob", b"2")])
    store.checkpoint(5, 1)
    store.close()
    return tmp_path / "shard-00"


@pytest.fixture
def next_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """A format in which the customers' keys begin with C."""

    def renamed(database: Database) -> None:
        found = list(database.scan(b"c", b"d"))
        database.write([(b"C" + key[1:], value) for key, value in found])
        database.write([(key, None) for key, _ in found])

    monkeypatch.setattr(migrations, "FORMAT", 2)
    monkeypatch.setattr(migrations, "UPGRADES", {1: renamed})
    monkeypatch.setattr(directories, "FORMAT", 2)


def test_a_store_of_an_earlier_format_is_brought_up_once(made: Path, next_format: None) -> None:
    store = Store(made, 6, 5)
    assert (store.get(b"Cann"), store.get(b"cann")) == (b"1", None)
    store.write([(b"ccat", b"as if it were a key of today")])
    store.checkpoint(6, 2)
    store.close()
    again = Store(made, 7, 6)
    assert again.get(b"ccat") is not None
    again.close()


def test_what_goes_wrong_in_between_leaves_the_checkpoint_as_it_was(
    made: Path, next_format: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = migrations.UPGRADES[1]

    def half(database: Database) -> None:
        database.write([(b"cann", None)])
        raise StateError("the disk is full")

    monkeypatch.setattr(migrations, "UPGRADES", {1: half})
    with pytest.raises(StateError, match="full"):
        Store(made, 6, 5)
    monkeypatch.setattr(migrations, "UPGRADES", {1: whole})
    store = Store(made, 6, 5)
    assert store.get(b"Cann") == b"1"
    store.close()


def test_a_store_from_the_future_is_refused_and_left_alone(
    made: Path, next_format: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(made, 6, 5)
    store.checkpoint(6, 2)
    store.close()
    monkeypatch.setattr(migrations, "FORMAT", 1)
    with pytest.raises(StateError, match=r"ckpt-\S* is of format 2, made by a newer oncue"):
        Store(made, 7, 6)


def test_a_directory_says_the_new_format_as_soon_as_somebody_may_write_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "shop" / "oncue.json"
    Directory(tmp_path, "shop").open(FIXED, lambda folder: None)
    for module in (migrations, directories):
        monkeypatch.setattr(module, "FORMAT", 2)
    directory = Directory(tmp_path, "shop")
    directory.open(FIXED, lambda folder: None)
    assert json.loads(about.read_text())["format"] == 1
    directory.lock()
    assert json.loads(about.read_text()) == {"format": 2, "scope": "shop", **FIXED}


def test_a_record_of_an_earlier_version_is_brought_up_when_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ann = Record("ann")
    ann.part("p:cart").keys["k1"] = Pattern(since=7)
    raw = ann.encode()

    def renamed(parts: dict[str, bytes]) -> dict[str, bytes]:
        return {"p:basket" if name == "p:cart" else name: part for name, part in parts.items()}

    for module in (record_migrations, records):
        monkeypatch.setattr(module, "VERSION", 2)
    monkeypatch.setattr(record_migrations, "UPGRADES", {1: renamed})
    found = records.decode("ann", raw)
    assert found.names() == ["p:basket"]
    assert found.part("p:basket").keys["k1"].since == 7
    monkeypatch.setattr(record_migrations, "UPGRADES", {})
    assert records.decode("ann", found.encode()).has("p:basket"), "it is of version 2 now"


def test_a_record_from_the_future_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (record_migrations, records):
        monkeypatch.setattr(module, "VERSION", 2)
    raw = Record("ann").encode()
    for module in (record_migrations, records):
        monkeypatch.setattr(module, "VERSION", 1)
    with pytest.raises(ValueError, match=r"customer ann is stored in version 2; .* versions up to 1"):
        records.decode("ann", raw)
