"""The published files: valid by the official schemas, and saying what the engine really accepts and sends."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator

from flows.cloudevents import header
from flows.demo import records
from operators.effects import Effect, ledger
from operators.envelope import Header
from schemas import compat, generate, topics
from schemas.contracts import CONTRACTS, Contract, slug
from schemas.currency import digits
from schemas.inbound import PROPERTIES, Event
from schemas.messages import MESSAGES
from schemas.shapes import schema
from tests.properties.logs import law
from tests.schemas.published import FILES, published

OFFICIAL = Path(__file__).parent / "asyncapi-3.0.0.schema.json.gz"
DOCUMENT = yaml.load((compat.FOLDER / "asyncapi.yaml").read_text(), Loader=yaml.CSafeLoader)


def wrong(document: Any) -> list[str]:
    official = json.loads(gzip.decompress(OFFICIAL.read_bytes()))
    return [error.json_path for error in Draft7Validator(official).iter_errors(document)]


# ---- the files


def test_the_files_say_what_the_code_says_and_break_nobody() -> None:
    assert generate.drift() == []
    assert compat.main() == 0


def test_the_asyncapi_document_is_valid_by_the_official_schema() -> None:
    assert wrong(DOCUMENT) == []
    operations = {"triggers": {**DOCUMENT["operations"]["triggers"], "action": "shout"}}
    assert wrong({**DOCUMENT, "channels": {}, "components": {}, "operations": operations}) != []


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    def follow(node: Any) -> int:
        if isinstance(node, list):
            return sum(map(follow, node))
        if not isinstance(node, dict):
            return 0
        found = 0
        if isinstance(ref := node.get("$ref"), str):
            target = DOCUMENT
            for step in ref.removeprefix("#/").split("/"):
                target = target[step]
            found = 1
        return found + sum(map(follow, node.values()))

    assert follow(DOCUMENT) > 100


def test_every_topic_that_others_use_is_in_the_asyncapi_document() -> None:
    outputs = {it.name for it in topics.OUTPUTS} - {"moves", "control", "churn-examples", "intent-examples"}
    references = {it.name for it in topics.REFERENCE}
    assert DOCUMENT["channels"].keys() == {"events"} | outputs | references
    actions = {name: it["action"] for name, it in DOCUMENT["operations"].items()}
    assert {name for name, action in actions.items() if action == "send"} == outputs


@pytest.mark.parametrize("name", [name for name in FILES if "$schema" in FILES[name]])
def test_every_json_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(FILES[name])


# ---- what comes in

VALUES = st.sampled_from(
    [None, "", "x", "USD", "usd", "XXX", 0, 1, -1, 2.5, True, [], {}, {"name": "x"}, [{"product_id": "p"}],
     [{"product_id": ""}], [{"price": 1}], [{"type": "price", "value": "low"}]]
)  # fmt: skip


@law
@given(st.data())
def test_what_a_published_event_allows_is_what_the_engine_accepts(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PROPERTIES)))
    fields = [field.encode_name for field in msgspec.structs.fields(PROPERTIES[name])]
    given = data.draw(st.dictionaries(st.sampled_from([*fields, "colour"]), VALUES, max_size=4))
    required = FILES[f"inbound.{slug(name)}.schema.json"]["required"]
    properties = {**dict.fromkeys(required, "x"), **given}
    try:
        msgspec.convert(properties, PROPERTIES[name])
        accepted = True
    except msgspec.ValidationError:
        accepted = False
    assert published(f"inbound.{slug(name)}").is_valid(properties) == accepted


@pytest.mark.parametrize("name", MESSAGES)
def test_the_engine_reads_no_more_strictly_than_what_is_published(name: str) -> None:
    """Common fields: the header and the full decode look at a part of what senders may send."""

    def shape(kind: type[msgspec.Struct]) -> dict[str, Any]:
        top, parts = schema(Contract(name, kind, "in"))
        return {**top, "$defs": parts}

    for read in (Header, Event):
        changes = compat.sender_changes(shape(MESSAGES[name]), shape(read))
        assert [change for change in changes if change.severity == compat.MODEL] == []


def test_real_shoppers_events_are_valid() -> None:
    values = [value for _, value, generated in records() if not generated][:40]
    for value in values:
        published("inbound.track").validate(json.loads(value))


def test_a_known_events_properties_are_checked_by_the_published_track_message() -> None:
    event = {"type": "track", "messageId": "m", "userId": "u", "event": "Order Completed"}
    order = {"order_id": "o", "total": 12.5, "currency": "EUR", "store_id": "s-1", "receipt_id": "r-1"}
    track = published("inbound.track")
    assert track.is_valid({**event, "properties": order})
    assert not track.is_valid({**event, "properties": {**order, "currency": "EURO"}})
    assert track.is_valid({**event, "event": "Wheel Spun", "properties": {"total": "all"}})


@pytest.mark.parametrize(("code", "expected"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4), ("HRK", 2)])
def test_a_currency_has_the_digits_of_iso_4217(code: str, expected: int) -> None:
    assert digits(code) == expected
    assert code in FILES["inbound.order-completed.schema.json"]["$defs"]["Currency"]["enum"]


# ---- what goes out


def test_every_contract_of_the_output_is_carried_by_a_topic() -> None:
    carried = {name for channel in DOCUMENT["channels"].values() for name in channel["messages"]}
    sent = {contract.name for contract in CONTRACTS if contract.direction == "out"}
    assert sent - carried == {"outbound.headers"}


def test_headers_are_those_of_the_contract() -> None:
    for effect in (
        Effect(topics.TRIGGERS, "id", "c", b"{}", "oncue.trigger.x", 1, 1, "cause", "thread", 5),
        ledger(7, "in", {}),
    ):
        headers = {name: text.decode() for name, text in header(effect, 7, "oncue/shop", 1000)}
        published("outbound.headers").validate(headers)
