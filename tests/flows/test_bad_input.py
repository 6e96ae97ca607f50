"""Events that cannot be used, and what must not stop because of them."""

import base64
import json
import time
from typing import NamedTuple

from tests.brokers import Broker, RealBroker
from tests.events import consent, event, track
from tests.flows.conftest import Maker
from tests.flows.running import Record, Scope


def added(
    properties: str = "{}", message: str = "m", user: str = '"u"', at: str = "2026-03-02T10:00:00Z"
) -> bytes:
    """A Product Added as it may come over the wire: every piece is JSON text, or what should be."""
    return (
        f'{{"type":"track","event":"Product Added","messageId":"{message}","userId":{user},'
        f'"timestamp":"{at}","properties":{properties}}}'
    ).encode()


class Bad(NamedTuple):
    value: bytes | None
    reason: str
    stage: str = "header"


FINE = '{"product_id":"p","cart_id":"k"}'
BAD = {
    "nothing at all": Bad(None, "not-json"),
    "an empty value": Bad(b"", "not-json"),
    "not JSON": Bad(b"<event/>", "not-json"),
    "a cut": Bad(added(FINE)[:-20], "not-json"),
    "NUL bytes": Bad(b"\0" * 100, "not-json"),
    "UTF-16": Bad(added(FINE).decode().encode("utf-16"), "not-json"),
    "another type": Bad(b"[1, 2]", "wrong-type"),
    "null": Bad(b"null", "wrong-type"),
    "a number for a message id": Bad(added(FINE).replace(b'"m"', b"7"), "wrong-type"),
    "an unknown kind": Bad(added(FINE).replace(b'"track"', b'"party"'), "wrong-type"),
    "no message id": Bad(b'{"type":"track","userId":"u"}', "wrong-type"),
    "an empty message id": Bad(added(FINE, message=""), "wrong-type", "event"),
    "no identifier": Bad(added(FINE, user="null"), "no-identifier"),
    "a junk identifier": Bad(added(FINE, user='"undefined"'), "no-identifier"),
    "no such day": Bad(added(FINE, at="2026-02-30T10:00:00Z"), "wrong-type"),
    "a number for a time": Bad(added(FINE).replace(b'"2026-03-02T10:00:00Z"', b"1772445600"), "wrong-type"),
    "half a character in an id": Bad(added(FINE, user='"\\ud83d"'), "not-json"),
    "half a character in a property": Bad(added('{"product_id":"\\ud83d"}'), "not-json"),
    "broken UTF-8 in an id": Bad(added(FINE, user='"X"').replace(b"X", b"\xff\xfe"), "not-json"),
    "broken UTF-8 in a property": Bad(
        added('{"product_id":"X"}').replace(b"X", b"\xed\xa0\x80"), "not-json", "event"
    ),
    "NaN": Bad(added('{"product_id":"p","price":NaN}'), "not-json"),
    "infinity": Bad(added('{"product_id":"p","price":1e999}'), "wrong-type", "event"),
    "a price out of all proportion": Bad(
        added('{"product_id":"p","price":1e300}'), "wrong-property", "event"
    ),
    "a quantity no database holds": Bad(
        added(f'{{"product_id":"p","quantity":{10**30}}}'), "wrong-property", "event"
    ),
    "a negative price": Bad(added('{"product_id":"p","price":-1}'), "wrong-property", "event"),
    "a list for a product": Bad(added('{"product_id":["p"]}'), "wrong-property", "event"),
    "text for a total": Bad(
        track("Order Completed", 0, user="u", order_id="o", total="12"), "wrong-property", "event"
    ),
    "text for properties": Bad(added('"none"'), "wrong-type", "event"),
    "a hundred thousand brackets": Bad(added("[" * 100_000 + "]" * 100_000), "not-json"),
    "brackets without an end": Bad(added('{"a":' * 100_000), "not-json"),
    "a megabyte of wrong": Bad(
        added('{"product_id":7,"blob":"%s"}' % ("x" * 900_000)), "wrong-property", "event"
    ),
}  # fmt: skip
ODD = {  # strange, but nothing is wrong with them
    "1970": added(FINE, message="odd-1", at="1970-01-01T00:00:00Z"),
    "before 1970": added(FINE, message="odd-2", at="0001-01-01T00:00:00Z"),
    "a megabyte": added('{"product_id":"p","cart_id":"k","blob":"%s"}' % ("x" * 900_000), "odd-5"),
    "an unknown event": event("track", 1, id="odd-6", user="u", name="Moon Landed", properties={"x": [{}]}),
    "a number with 300 digits": added(FINE, message="odd-7", user="9" * 300),
    "line breaks and NUL": added('{"product_id":"a\\u0000","cart_id":"b\\nc"}', "odd-8", '"u\\n\\u0000"'),
    "deep but finite": added('{"product_id":"p","x":%s}' % ("[" * 400 + "]" * 400), "odd-9"),
}  # fmt: skip


def test_bad_events_are_put_aside_whole_and_the_good_ones_around_them_count(
    broker: Broker, scoped: Maker
) -> None:
    scope = scoped(broker)
    scope.send(consent(0, user="good"))
    for number, bad in enumerate(BAD.values()):
        scope.send(bad.value)
        scope.send(
            track("Product Added", 1, id=f"g{number}", user="good", cart_id="good", product_id=f"p{number}")
        )
    scope.send(*ODD.values(), partition=1)
    scope.send(track("Product Viewed", 40, user="zoe", product_id="p"))
    scope.complete()

    letters = {record.body["offset"]: record for record in scope.records("dead-letters")}
    wrong = []
    for number, (name, bad) in enumerate(BAD.items()):
        letter = letters.pop(1 + 2 * number, None)
        if letter is None or not tells(letter, bad, scope):
            wrong.append((name, letter and {**letter.body, "original": ""}))
    assert not wrong
    assert not letters, [record.body["detail"] for record in letters.values()]

    trigger = next(record.body for record in scope.records("triggers") if record.body["key"] == "good")
    assert trigger["facts"]["adds_1h"] == len(BAD)
    said = scope.ask("ledger", "--json", "--config", scope.config, "--brokers", broker.bootstrap)
    assert json.loads(said)["totals"][scope.topic("web")] == {
        "in": 2 * len(BAD) + 2 + len(ODD), "accepted": len(BAD) + 2 + len(ODD), "duplicate": 0,
        "dead_lettered": len(BAD), "held": 0, "conflicting": 0,
    }  # fmt: skip


def tells(letter: Record, bad: Bad, scope: Scope) -> bool:
    """Whether it says where the event is and why it was put aside, and has its bytes."""
    body = letter.body
    return (
        (body["topic"], body["partition"], letter.key)
        == (scope.topic("web"), 0, f"{scope.topic('web')}/0/{body['offset']}")
        and (body["reason"], body["stage"]) == (bad.reason, bad.stage)
        and bool(body["detail"])
        and base64.b64decode(body["original"]) == (bad.value or b"")
    )


def test_a_dead_letter_of_the_largest_event_a_topic_takes_fits(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    value = b"x" * 1_048_000  # a third more in base64
    scope.send(value)
    scope.complete()
    letter = scope.records("dead-letters")[0]
    assert base64.b64decode(letter.body["original"]) == value


def test_the_future_is_set_back_to_when_it_arrived(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    scope.send(
        added(FINE, "1", '"marty"', "2190-01-01T00:00:00Z"), added(FINE, "2", '"doc"', "9999-12-31T23:59:59Z")
    )
    scope.complete()
    assert scope.records("dead-letters") == []
    for who in ("marty", "doc"):
        found = json.loads(scope.ask("customer", who, "--state", scope.state, "--json"))
        assert abs(found["last_seen"] - time.time() * 1000) < 600_000
        assert len(found["open"]) == 1
