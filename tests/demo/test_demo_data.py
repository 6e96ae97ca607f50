"""The demo's bundled input: the converter, the overlay, and the file that is built from both."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from flows.demo import parse, records
from flows.demo.build import merged, packed
from flows.demo.overlay import overlay
from flows.demo.rees46 import COLUMNS, events, whole_lines
from flows.demo.stage import Arrival
from flows.demo.visits import carts, interests, seconds
from operators import headers
from operators.identifiers import TYPES, Identifiers, Policy
from schemas.inbound import PROPERTIES, Event
from tests.demo import oracle

CSV = [
    COLUMNS,
    "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,session-1",
    "2019-10-01 00:00:01 UTC,view,1307067,2053013558920217191,computers.notebook,,251.74,550050854,session-2",
    "2019-10-01 00:00:01 UTC,view,1307067,2053013558920217191,computers.notebook,,251.74,550050854,session-2",
    "2019-10-01 00:00:20 UTC,cart,1307067,2053013558920217191,computers.notebook,,251.74,550050854,session-2",
    "2019-10-01 00:03:00 UTC,cart,44600062,2103807459595387724,,shiseido,35.79,541312140,session-1",
    "2019-10-01 00:04:00 UTC,purchase,44600062,2103807459595387724,,shiseido,35.79,541312140,session-1",
    "2019-10-01 00:20:00 UTC,view,1307067,2053013558920217191,computers.notebook,,251.74,550050854,session-2",
]
BUNDLE = list(records())
DECODER = msgspec.json.Decoder(Event)
EVERYBODY = Identifiers([Policy(type) for type in TYPES], "US")


def generated_events() -> list[dict[str, Any]]:
    return [orjson.loads(v) for _, v, generated in BUNDLE if generated and v.endswith(b"}")]


def of_story(name: str) -> list[dict[str, Any]]:
    return [event for event in generated_events() if event["context"]["story"] == name]


# ---- the converter


def test_a_view_becomes_product_viewed_without_its_empty_columns() -> None:
    view = next(events(CSV))
    assert view.pop("messageId").startswith("rees46-")
    assert view == {
        "type": "track",
        "timestamp": "2019-10-01T00:00:00Z",
        "anonymousId": "rees46-541312140",
        "event": "Product Viewed",
        "properties": {"product_id": "44600062", "price": 35.79, "brand": "shiseido", "currency": "USD"},
        "context": {"sessionId": "session-1", "library": {"name": "rees46"}},
    }


def test_a_cart_row_changes_the_cart_of_its_session() -> None:
    cart = list(events(CSV))[3]
    assert cart["event"] == "Product Added"
    assert cart["properties"]["cart_id"] == cart["context"]["sessionId"] == "session-2"
    assert cart["properties"]["category"] == "computers.notebook"
    assert "brand" not in cart["properties"]


def test_a_purchase_row_is_an_order_of_one_line_that_closes_its_sessions_cart() -> None:
    order = list(events(CSV))[5]["properties"]
    assert order.pop("order_id").startswith("rees46-order-")
    assert order == {
        "cart_id": "session-1",
        "total": 35.79,
        "currency": "USD",
        "products": [{"product_id": "44600062", "price": 35.79, "brand": "shiseido", "quantity": 1}],
    }


def test_equal_rows_get_different_message_ids_and_a_second_conversion_the_same() -> None:
    ids = [event["messageId"] for event in events(CSV)]
    assert len(set(ids)) == len(CSV) - 1
    assert ids == [event["messageId"] for event in events(CSV)]


def test_a_cut_off_last_line_and_a_truncated_gzip_tail_are_dropped(tmp_path: Path) -> None:
    whole = gzip.compress(("\n".join(CSV) + "\n2019-10-01 02:50:00 UTC,view,10900305,20530").encode())
    path = tmp_path / "head.csv.gz"
    path.write_bytes(whole[:-8])
    assert whole_lines(path) == CSV


@pytest.mark.parametrize("line", ["", "a,b,c", CSV[1].replace("view", "wish"), CSV[1] + ",more"])
def test_a_row_that_is_not_of_the_data_set_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is not a REES46 row"):
        list(events([COLUMNS, line]))


# ---- what the visitors did


def test_a_cart_is_open_until_the_purchase_after_its_last_change() -> None:
    bought, left = sorted(carts(events(CSV)), key=lambda cart: cart.cart_id)
    assert bought.bought == seconds("2019-10-01T00:04:00Z")
    assert (left.cart_id, left.changed, left.value, left.bought) == (
        "session-2",
        seconds("2019-10-01T00:00:20Z"),
        251.74,
        None,
    )


def test_the_third_view_of_a_product_never_bought_is_a_repeated_interest() -> None:
    (found,) = interests(events(CSV))
    assert (found.visitor, found.product_id, found.times) == ("rees46-550050854", "1307067", 1)
    assert found.third == seconds("2019-10-01T00:20:00Z")


# ---- the overlay


def test_the_same_seed_gives_the_same_file_and_another_seed_another() -> None:
    real = list(events(CSV))
    first, second = (packed(merged(real, overlay(real, seed=7))) for _ in range(2))
    assert first == second
    assert first != packed(merged(real, overlay(real, seed=8)))


def test_the_bundled_file_is_what_its_real_half_builds() -> None:
    real = [orjson.loads(value) for _, value, generated in BUNDLE if not generated]
    lines = gzip.decompress(packed(merged(real, overlay(real)))).splitlines()
    assert [parse(line) for line in lines] == BUNDLE


def test_every_generated_event_is_labelled_and_no_real_one_is() -> None:
    for arrival in overlay(list(events(CSV))):
        assert isinstance(arrival.value, str) or arrival.value["context"]["generated"] is True
    for topic, value, generated in BUNDLE:
        if not generated:
            assert topic == "web"
            event = orjson.loads(value)
            assert event["context"].keys() == {"sessionId", "library"}
            assert event["messageId"].startswith("rees46-")
            assert "userId" not in event


def test_records_arrive_in_the_order_of_time_and_real_before_generated() -> None:
    at = [seconds(orjson.loads(value)["timestamp"]) for _, value, generated in BUNDLE if not generated]
    assert at == sorted(at)
    (real,) = events(CSV[:2])
    same_second = Arrival(seconds(real["timestamp"]), "crm", {"context": {"generated": True}})
    assert [record.topic for record in merged([real], [same_second])] == ["web", "crm"]


def test_all_real_events_are_bundled_and_the_generated_are_a_small_share() -> None:
    count = Counter(generated for _, _, generated in BUNDLE)
    assert count[False] == 17_434
    assert 300 <= count[True] <= 1_500
    assert {topic for topic, _, _ in BUNDLE} == {"web", "app", "pos", "crm"}


def test_every_record_is_valid_but_the_six_broken_ones() -> None:
    problems = []
    for _, value, generated in BUNDLE:
        try:
            event = DECODER.decode(value)
            if event.type == "track" and event.event in PROPERTIES:
                msgspec.convert(event.properties, PROPERTIES[event.event])
            headers.read(value, headers.LAST, EVERYBODY)
        except ValueError as error:  # msgspec.ValidationError and DecodeError are ValueErrors
            assert generated
            problems.append(str(error))
    assert len(problems) == 6, problems


def test_a_message_id_repeats_only_in_the_generated_duplicates() -> None:
    payloads: dict[str, list[bytes]] = {}
    for _, value, _ in BUNDLE:
        if value.endswith(b"}") and (message_id := orjson.loads(value).get("messageId")):
            payloads.setdefault(message_id, []).append(value)
    repeated = {each: values for each, values in payloads.items() if len(values) > 1}
    assert all(each.startswith("generated-") for each in repeated)
    extra = sum(len(values) - 1 for values in repeated.values())
    other_payload = sum(len(set(values)) - 1 for values in repeated.values())
    assert (extra - other_payload, other_payload) == (8, 3)


def test_known_customers_log_in_while_a_cart_of_the_visitor_is_open() -> None:
    due = {cart.visitor: cart.due for cart in oracle.abandoned_carts(oracle.real_events())}
    logins = {it["messageId"]: it for it in of_story("known_customers_log_in")}.values()  # some come twice
    waits = [due[login["anonymousId"]] - seconds(login["timestamp"]) for login in logins]
    assert sum(0 < wait < oracle.CART_TIMER for wait in waits) == 6
    assert sum(wait < 0 for wait in waits) == 1
    assert {login["userId"] for login in logins} <= {
        each.get("userId") for each in of_story("known_customers")
    }


def test_junk_is_shared_by_visitors_of_whom_only_the_first_consented() -> None:
    events_ = of_story("junk_identifiers")
    shared = Counter(
        e["traits"].get("email") or e["traits"].get("phone") or e["userId"]
        for e in events_
        if e["type"] == "identify"
    )
    assert shared == {"test@test.com": 3, "null": 3, "0000000000": 3, "undefined": 3}
    assert len({e["anonymousId"] for e in events_ if e["type"] == "track"}) == 4


def test_made_up_persons_share_no_identifier() -> None:
    persons = [each for each in of_story("known_customers") if each["type"] == "identify"]
    for trait in ("email", "phone", "loyaltyNumber"):
        assert len({person["traits"][trait] for person in persons}) >= 60
    assert all("example." in person["traits"]["email"] for person in persons)


# ---- the oracle


def test_the_oracle_counts_the_small_sample_by_hand() -> None:
    assert [cart.cart_id for cart in oracle.abandoned_carts(events(CSV))] == ["session-2"]
    assert len(oracle.repeated_interests(events(CSV))) == 1


def test_the_real_events_hold_what_the_demo_claims() -> None:
    assert oracle.counts(oracle.real_events()) == {
        "events": 17_434,
        "visitors": 4_504,
        "sessions": 5_066,
        "carts": 118,
        "abandoned carts": 28,
        "visitors with an abandoned cart": 27,
        "repeated interests": 992,
        "visitor and product pairs": 914,
        "visitors with a repeated interest": 686,
        "visitors with more than one": 174,
    }
