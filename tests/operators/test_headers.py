"""The time of an event and the keys it carries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import headers
from operators.headers import BadHeader
from operators.identifiers import TYPES, Identifiers, Policy
from tests.events import at, stamp
from tests.properties.logs import law

IDS = Identifiers([Policy(kind) for kind in TYPES], "US")
ARRIVED = at(60)


def read(**fields: Any) -> tuple[int, tuple[str, ...]]:
    return headers.read(orjson.dumps({"type": "track", "messageId": "m", **fields}), ARRIVED, IDS)


def time(**fields: Any) -> int:
    return read(userId="u1", **fields)[0]


def test_the_timestamp_is_the_event_time() -> None:
    assert time(timestamp=stamp(5)) == at(5)


@law
@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)), st.integers(-1439, 1439))
def test_a_moment_is_that_millisecond_which_is_nearest(moment: datetime, minutes: int) -> None:
    there = timezone(timedelta(minutes=minutes))
    for microsecond in (moment.microsecond, 499, 500, 501, 1500, 999_500):
        zoned = moment.replace(microsecond=microsecond, tzinfo=there)
        assert headers.milliseconds(zoned) == round(zoned.timestamp() * 1000)
    assert headers.milliseconds(moment) == headers.milliseconds(moment.replace(tzinfo=UTC))


def test_a_wrong_device_clock_is_corrected() -> None:
    """The device is a day ahead; three minutes passed there between the event and its sending."""
    day = 24 * 60
    assert time(originalTimestamp=stamp(day + 2), sentAt=stamp(day + 5), receivedAt=stamp(15)) == at(12)


def test_without_any_time_the_event_happened_when_it_arrived() -> None:
    assert time() == ARRIVED
    assert time(receivedAt=stamp(15)) == at(15)


def test_nothing_happens_after_it_arrived_or_was_received() -> None:
    assert time(timestamp=stamp(100)) == ARRIVED
    assert time(timestamp=stamp(100), receivedAt=stamp(15)) == at(15)


def test_without_a_collector_the_timestamp_is_what_the_device_said() -> None:
    day = 24 * 60
    assert time(timestamp=stamp(day + 2), sentAt=stamp(day + 5), receivedAt=stamp(15)) == at(12)
    assert time(timestamp=stamp(2), sentAt=stamp(5)) == at(2)


def test_a_timestamp_that_the_collector_has_corrected_is_not_corrected_again() -> None:
    device = {"originalTimestamp": stamp(99), "sentAt": stamp(100)}
    assert time(timestamp=stamp(12), receivedAt=stamp(15), **device) == at(12)


def test_a_device_that_starts_in_1970_is_corrected_too() -> None:
    device = {"originalTimestamp": "1970-01-01T00:01:00Z", "sentAt": "1970-01-01T00:03:00Z"}
    assert time(receivedAt=stamp(15), **device) == at(13)


def test_a_collector_whose_clock_is_in_the_future_is_not_believed() -> None:
    assert time(timestamp="2190-01-01T00:00:00Z", receivedAt="2190-01-01T00:00:00Z") == ARRIVED


def test_where_the_record_has_no_time_no_event_is_later_than_2100() -> None:
    raw = orjson.dumps({"type": "page", "messageId": "m", "userId": "u", "timestamp": "2190-01-01T00:00:00Z"})
    assert headers.read(raw, -1, IDS)[0] == headers.LAST


def test_nothing_happens_before_1970() -> None:
    assert time(timestamp="0001-01-01T00:00:00Z") == 0


def test_offsets_and_missing_offsets_are_understood() -> None:
    assert time(timestamp="2026-03-02T12:00:00+02:00") == time(timestamp="2026-03-02T10:00:00") == at(0)


def test_identifiers_come_from_the_event_its_traits_and_its_context() -> None:
    _, keys = read(
        userId=7,
        anonymousId="a1",
        traits={"email": "ann@example.org"},
        context={"device": {"id": "d1"}, "traits": {"loyaltyNumber": "l1"}},
    )
    assert keys == ("user_id:7", "loyalty:L1", "email:ann@example.org", "anonymous_id:a1", "device_id:d1")


def test_an_alias_names_the_anonymous_id_that_a_customer_had_before() -> None:
    assert read(type="alias", userId="u1", previousId="a1")[1] == ("user_id:u1", "anonymous_id:a1")
    assert read(type="track", userId="u1", previousId="a1")[1] == ("user_id:u1",)


def test_the_members_of_a_group_are_not_one_person() -> None:
    group = {"name": "Acme", "email": "office@acme.example"}
    assert read(type="group", userId="u1", groupId="acme", traits=group)[1] == ("user_id:u1",)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not-json"),
        (b"", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[" * 100_000, "not-json"),
        (b'{"type":"track","messageId":"m","x":' + b"[" * 100_000, "not-json"),
        (b"[]", "wrong-type"),
        (b'{"messageId":"m","userId":"u"}', "wrong-type"),
        (b'{"type":"boast","messageId":"m","userId":"u"}', "wrong-type"),
        (b'{"type":"track","messageId":"m","userId":true}', "wrong-type"),
        (b'{"type":"track","messageId":"m","userId":1.5}', "wrong-type"),
        (b'{"type":"track","messageId":"m","userId":"u","timestamp":"yesterday"}', "wrong-type"),
        (b'{"type":"track","messageId":"m"}', "no-identifier"),
        (b'{"type":"track","messageId":"m","userId":"null"}', "no-identifier"),
    ],
)
def test_what_cannot_be_placed_says_why_in_a_word(raw: bytes, reason: str) -> None:
    with pytest.raises(BadHeader) as bad:
        headers.read(raw, ARRIVED, IDS)
    assert bad.value.reason == reason
    assert bad.value.detail
