"""Which changes of a contract break somebody. Each example is a struct before and after."""

from __future__ import annotations

from copy import deepcopy
from itertools import product
from typing import Annotated, Any, Literal

import msgspec
import pytest
from jsonschema import Draft202012Validator

from schemas import compat, topics
from schemas.compat import ADDITION, MODEL, REVISION, Change
from schemas.contracts import Contract, Direction
from schemas.shapes import schema
from tests.schemas.published import FILES


def shape(direction: Direction, **fields: Any) -> dict[str, Any]:
    """A contract with these fields: a type, or a type and a default."""
    kind = msgspec.defstruct(
        "Sample", [(name, *(it if type(it) is tuple else (it,))) for name, it in fields.items()], kw_only=True
    )
    top, parts = schema(Contract("sample", kind, direction))
    return {**top, "$defs": parts}


def for_senders(was: Any, now: Any) -> list[Change]:
    return compat.sender_changes(shape("in", it=was), shape("in", it=now))


def for_consumers(was: Any, now: Any) -> list[Change]:
    return compat.consumer_changes(shape("out", it=was), shape("out", it=now))


class Inner(msgspec.Struct):
    name: str
    size: int = 1


class InnerWithMore(msgspec.Struct):
    name: str
    colour: str
    size: int = 1


Short = Annotated[str, msgspec.Meta(max_length=10)]
Positive = Annotated[float, msgspec.Meta(ge=0)]

WIDER = [
    (int, float),
    (str, str | None),
    (str, str | int),
    (Short, str),
    (Positive, float),
    (Literal["web", "app"], Literal["web", "app", "till"]),
    (Literal["web", "app"], str),
    (list[int], list[float]),
    (dict[str, int], dict[str, Any]),
    (list[Inner], list[Any]),
]


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_a_sender_breaks_when_less_is_accepted_and_not_when_more_is(narrow: Any, wide: Any) -> None:
    assert [change.severity for change in for_senders(narrow, wide)] == [ADDITION]
    assert {change.severity for change in for_senders(wide, narrow)} == {MODEL}


@pytest.mark.parametrize(("narrow", "wide"), WIDER)
def test_a_consumer_breaks_when_more_is_sent_and_not_when_less_is(narrow: Any, wide: Any) -> None:
    assert [change.severity for change in for_consumers(wide, narrow)] == [ADDITION]
    assert {change.severity for change in for_consumers(narrow, wide)} == {MODEL}


KINDS: list[Any] = [
    int, float, bool, str, Short, Positive, str | None, str | int, Literal["web", "app"], Literal["web", 1],
    list[int], list[str], list[Inner], list[InnerWithMore], dict[str, int], Inner, InnerWithMore, Any,
]  # fmt: skip
SAMPLES: list[Any] = [
    None, True, 1, -1, 2.5, -2.5, "web", "app", "other", "longer than ten", [], [1], ["web"], [{"name": "x"}],
    [{"name": "x", "colour": "red"}], {}, {"name": "x"}, {"name": "x", "colour": "red"}, {"size": "big"},
    {"a": 1}, {"a": "b"}, {"name": "x", "size": "big"}, {"name": 1}, {"name": "x", "colour": 1},
    [{"name": "x", "colour": 1}], [{"name": 1}], {"name": 1, "colour": "red"}, [2.5],
]  # fmt: skip


def test_a_sender_breaks_exactly_when_there_is_something_that_was_accepted_and_is_not() -> None:
    """Every pair of kinds, by trying all samples; consumers are the same the other way round. A field that
    is newly looked at may break a sender too, and is told apart as a REVISION."""
    shapes = [shape("in", it=kind) for kind in KINDS]
    accepts = [{i for i, it in enumerate(SAMPLES) if valid(one, {"it": it})} for one in shapes]
    for (was, before), (now, after) in product(zip(shapes, accepts, strict=True), repeat=2):
        severity = max((change.severity for change in compat.sender_changes(was, now)), default=0)
        assert (severity >= REVISION) == bool(before - after), (was, now)
        consumers = compat.consumer_changes(now, was)
        assert any(change.severity == MODEL for change in consumers) >= (severity == MODEL), (now, was)


def valid(schema: dict[str, Any], value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def test_a_new_required_property_breaks_senders() -> None:
    was, now = shape("in", a=str), shape("in", a=str, b=str)
    assert compat.sender_changes(was, now) == [Change(MODEL, "$.b", "is required now")]


def test_an_optional_property_that_becomes_required_breaks_senders() -> None:
    was, now = shape("in", a=(str, "")), shape("in", a=str)
    assert compat.sender_changes(was, now) == [Change(MODEL, "$.a", "is required now")]
    assert compat.sender_changes(now, was) == [Change(ADDITION, "$", "changed compatibly")]


def test_a_new_optional_property_may_have_been_sent_with_another_meaning() -> None:
    was, now = shape("in", a=str), shape("in", a=str, b=(int | None, None))
    assert compat.sender_changes(was, now) == [Change(REVISION, "$.b", "was not looked at, is checked")]
    assert compat.sender_changes(now, was) == [Change(ADDITION, "$", "changed compatibly")]


def test_a_new_known_event_may_have_been_sent_with_other_properties() -> None:
    now = FILES["inbound.track.schema.json"]
    was = {**now, "allOf": [case for case in now["allOf"] if "Case Opened" not in str(case)]}
    text = "of Case Opened was not looked at, is checked"
    assert compat.sender_changes(was, now) == [Change(REVISION, "$.properties", text)]
    assert compat.sender_changes(now, was) == [Change(ADDITION, "$", "changed compatibly")]


def test_a_new_field_breaks_no_consumer_and_a_removed_one_does() -> None:
    was, now = shape("out", a=str), shape("out", a=str, b=(int, 0))
    assert compat.consumer_changes(was, now) == [Change(ADDITION, "$", "changed compatibly")]
    assert compat.consumer_changes(now, was) == [Change(MODEL, "$.b", "was removed")]


def test_a_header_that_is_not_always_there_any_more_breaks_consumers() -> None:
    was, now = shape("out", a=str), shape("out", a=(str | msgspec.UnsetType, msgspec.UNSET))
    assert compat.consumer_changes(was, now) == [Change(MODEL, "$.a", "is not always there any more")]


def test_changes_are_found_inside_lists_and_other_contracts() -> None:
    was, now = shape("in", lines=list[Inner]), shape("in", lines=list[InnerWithMore])
    assert compat.sender_changes(was, now) == [Change(MODEL, "$.lines[].colour", "is required now")]
    was, now = shape("out", lines=list[InnerWithMore]), shape("out", lines=list[Inner])
    assert compat.consumer_changes(was, now) == [Change(MODEL, "$.lines[].colour", "was removed")]


def test_the_message_says_what_was_and_what_is() -> None:
    assert for_senders(float, str)[0].text == "number was accepted, is not: string is wanted"
    assert for_consumers(str, str | None)[0].text == "null may be sent, was not: it was string"
    assert for_senders(str, Short)[0].text == "maxLength was none, is 10"


def test_another_description_is_no_change() -> None:
    was = shape("in", a=str)
    assert compat.sender_changes({**was, "description": "old"}, {**was, "description": "new"}) == []


def test_a_topic_with_another_key_breaks_everybody() -> None:
    was = {"topics": topics.published()}
    now = deepcopy(was)
    now["topics"]["triggers"]["key"] = "rule"
    del now["topics"]["profiles"]
    assert compat.topic_changes(was, now) == [
        Change(MODEL, "triggers.key", "was 'customer id', is 'rule'"),
        Change(MODEL, "profiles", "the topic was removed"),
    ]


def mistakes(was: dict[str, Any], now: dict[str, Any], before: str, after: str) -> list[str]:
    name = "outbound.sample.schema.json"
    return compat.mistakes({name: {**was, "x-schemaver": before}}, {name: {**now, "x-schemaver": after}})


def test_a_breaking_change_needs_a_new_model_and_every_break_is_listed() -> None:
    was, now = shape("out", a=str, b=int), shape("out", a=int)
    assert mistakes(was, now, "1-2-3", "1-2-4") == [
        "outbound.sample 1-2-3 -> 1-2-4: $.a: integer may be sent, was not: it was string (MODEL)",
        "outbound.sample 1-2-3 -> 1-2-4: $.b: was removed (MODEL)",
        "outbound.sample: undo that, or say 2-0-0 in VERSIONS of schemas/contracts.py",
    ]
    assert mistakes(was, now, "1-2-3", "2-0-0") == []


def test_a_compatible_change_needs_a_new_version_too() -> None:
    was, now = shape("out", a=str), shape("out", a=str, b=int)
    assert mistakes(was, now, "1-0-0", "1-0-0")[-1].endswith(
        "or say 1-0-1 in VERSIONS of schemas/contracts.py"
    )
    assert mistakes(was, now, "1-0-0", "1-0-1") == []
    assert mistakes(was, now, "1-0-1", "1-0-0") != []


def test_a_new_version_without_a_change_is_a_mistake() -> None:
    was = shape("out", a=str)
    assert mistakes(was, was, "1-0-0", "1-0-0") == []
    assert mistakes(was, was, "1-0-0", "1-0-1") != []


def test_a_contract_that_consumers_read_cannot_just_vanish() -> None:
    was = {**shape("out", a=str), "x-schemaver": "1-0-0"}
    assert compat.mistakes({"outbound.sample.schema.json": was}, {}) != []
    assert compat.mistakes({"inbound.sample.schema.json": was}, {}) == []
