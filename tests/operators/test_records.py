"""Parts of a customer's record."""

from __future__ import annotations

from operators import records
from operators.parts import Core
from operators.records import Record


def stored(last_seen: int) -> bytes:
    record = Record("c-1")
    record.part("core").last_seen = last_seen
    return record.encode()


def test_a_part_is_encoded_again_when_it_was_asked_for_to_be_changed() -> None:
    record = records.decode("c-1", stored(1))
    record.part("core").last_seen = 2
    assert record.encode() == stored(2)
    record.part("core").last_seen = 3
    assert record.encode() == stored(3)


def test_a_part_that_was_only_looked_at_is_not_encoded_again() -> None:
    record = records.decode("c-1", stored(1))
    core: Core = record.look("core")
    assert core.last_seen == 1
    core.last_seen = 2  # what nobody should do shows that it is not
    assert record.encode() == stored(1)


def test_a_part_that_was_looked_at_can_be_changed_after_all() -> None:
    record = records.decode("c-1", stored(1))
    core: Core = record.look("core")
    assert record.part("core") is core
    core.last_seen = 2
    assert record.look("core") is core
    assert record.encode() == stored(2)


def test_looking_at_what_is_not_there_begins_it_as_asking_for_it_does() -> None:
    looked, asked = Record("c-1"), Record("c-1")
    looked.look("core")
    asked.part("core")
    assert looked.encode() == asked.encode()
