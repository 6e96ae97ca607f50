"""`oncue run` as its users run it: events in, the right records out, a clean end, and a look inside."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from flows import lookup
from tests.brokers import Broker, RealBroker
from tests.events import at, consent, event, track
from tests.flows.conftest import Maker
from tests.flows.running import Record, Scope
from tests.program import PATIENCE, Program, until
from tests.schemas.published import check_output

STORY = (
    # Ann looks around as a stranger, fills a cart, logs in, and never orders.
    track("Product Added", 0, id="a1", anonymous="cookie-1", cart_id="k1", product_id="p1", price=10),
    track(
        "Product Added", 1, id="a2", anonymous="cookie-1", cart_id="k1", product_id="p2", price=5.5,
        quantity=2,
    ),
    event("identify", 2, id="a3", user="ann", anonymous="cookie-1", traits={"email": "Ann@Shop.example"}),
    consent(2.1, id="a4", user="ann", traits={}),
    # Bob consents to nothing; Cat orders in time.
    track("Product Added", 3, id="b1", user="bob", cart_id="k2", product_id="p1"),
    track("Product Added", 3, id="c1", user="cat", cart_id="k3", product_id="p1"),
    consent(3.1, id="c2", user="cat"),
    track("Order Completed", 5, id="c3", user="cat", cart_id="k3", order_id="o1", total=12.34),
    b'{"type": "track"',
    track("Product Added", 3, id="b1", user="bob", cart_id="k2", product_id="p1"),  # delivered twice
)  # fmt: skip
LATER = track("Product Viewed", 60, id="z", user="zoe", product_id="p9")  # brings the time


def customer_of(scope: Scope, key: str) -> dict:
    return json.loads(scope.ask("customer", key, "--state", scope.state, "--json"))


def when(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture(scope="module", params=["embedded", "kafka"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """The story, told once to each broker: Ann was known as cookie-1 and as ann before she logs in."""
    broker: Broker = request.getfixturevalue("mock" if request.param == "embedded" else "kafka")
    folder = tmp_path_factory.mktemp("told")
    scope = Scope(broker, f"r{folder.name[-4:].strip('-')}{request.param[0]}{time.time_ns() % 10**6}", folder)
    scope.create_topics()
    scope.send(track("Product Viewed", -1, id="a0", user="ann", product_id="p0"), *STORY, LATER)
    scope.complete()
    yield scope
    scope.close()


def only(records: list[Record]) -> Record:
    assert len(records) == 1, records
    return records[0]


def test_an_abandoned_cart_becomes_one_trigger_for_the_surviving_customer(told: Scope) -> None:
    merged = only(told.records("identities"))
    trigger = only(told.records("triggers"))
    body = trigger.body
    assert trigger.key == body["customer"] == merged.body["customer"] == merged.key
    assert merged.body["retired"] != merged.body["customer"]
    assert "email:ann@shop.example" in merged.body["linked_by"]
    assert (body["rule"], body["key"], body["channel"], body["purpose"]) == (
        "cart_abandoned", "k1", "email", "marketing",
    )  # fmt: skip
    assert body["decided_at"] == at(1 + 15)
    assert body["facts"] == {"adds_1h": 2, "revenue": 0, "basket_value": 2100, "basket_items": 3}
    assert {(line["product_id"], line["quantity"], line["price"]) for line in body["basket"]} == {
        ("p1", 1, 1000), ("p2", 2, 550),
    }  # fmt: skip


def test_a_trigger_carries_the_headers_of_the_contract(told: Scope) -> None:
    headers = only(told.records("triggers")).headers
    assert headers["ce_specversion"] == "1.0"
    assert headers["ce_type"] == "oncue.trigger.cart_abandoned"
    assert headers["ce_source"] == f"oncue/{told.name}"
    assert headers["ce_subject"] == only(told.records("triggers")).key
    assert headers["ce_causationid"] == "a2"
    assert len(headers["ce_id"]) == 32
    assert len(headers["ce_correlationid"]) == 32
    assert when(headers["ce_time"]) == at(16)
    assert when(headers["ce_expirytime"]) == at(16 + 24 * 60)
    assert abs(when(headers["ce_recordedtime"]) - time.time() * 1000) < 600_000
    assert int(headers["oncue_cut"]) > 0
    assert 0 <= int(headers["oncue_latency_ms"]) < 60_000
    assert headers["content-type"] == "application/json"


def test_everything_that_comes_out_is_as_published(told: Scope) -> None:
    for name in ("triggers", "decisions", "identities", "dead-letters", "ledger"):
        found = told.records(name)
        assert found
        for record in found:
            check_output(record.headers, record.body)


def test_what_is_held_back_is_a_decision_with_its_reason(told: Scope) -> None:
    decision = only(told.records("decisions"))
    assert (decision.body["reason"], decision.body["key"]) == ("consent-unknown", "k2")
    assert decision.key == decision.body["customer"]
    assert decision.headers["ce_type"] == "oncue.decision.consent-unknown"


def test_what_cannot_be_read_is_a_dead_letter_with_its_place_and_its_bytes(told: Scope) -> None:
    letter = only(told.records("dead-letters"))
    assert (letter.body["topic"], letter.body["partition"], letter.body["offset"]) == (
        told.topic("web"),
        0,
        9,
    )
    assert letter.key == f"{told.topic('web')}/0/9"
    assert letter.body["reason"] == "not-json"
    assert orjson.loads(letter.raw)["original"] == "eyJ0eXBlIjogInRyYWNrIg=="


def test_the_ledger_balances_and_says_what_became_of_everything(told: Scope) -> None:
    found = json.loads(
        told.ask("ledger", "--config", told.config, "--brokers", told.broker.bootstrap, "--json")
    )
    assert found["balanced"]
    assert found["totals"][told.topic("web")] == {
        "in": 12,
        "accepted": 10,
        "duplicate": 1,
        "dead_lettered": 1,
        "held": 0,
        "conflicting": 0,
    }


def test_a_customer_is_found_by_every_identifier_and_by_a_retired_id(told: Scope) -> None:
    merged = only(told.records("identities")).body
    keys = (
        "ann@SHOP.example",
        "cookie-1",
        "anonymous_id:cookie-1",
        "ann",
        merged["customer"],
        merged["retired"],
    )
    found = [lookup.customer(told.state / told.name, key) for key in keys]
    found_by = [one.pop("found_by") for one in found if one is not None]
    assert found_by == [
        "email:ann@shop.example", "anonymous_id:cookie-1", "anonymous_id:cookie-1", "user_id:ann",
        merged["customer"], merged["retired"],
    ]  # fmt: skip
    assert all(one == found[0] for one in found)
    ann = found[0]
    assert ann is not None
    assert (ann["customer"], ann["retired"]) == (merged["customer"], [merged["retired"]])
    identifiers = {it["key"]: (it["since"], it["event"]) for it in ann["identifiers"]}
    linked = at(2), f"{told.topic('web')}/0/3"
    together = "user_id:ann", "anonymous_id:cookie-1", "email:ann@shop.example"
    assert [identifiers[key] for key in together] == [linked] * 3
    assert ann["reachable"] == {"email": True}
    assert ann["consents"] == {"marketing/email": {"granted": True, "at": at(2.1)}}
    cat = lookup.customer(told.state / told.name, "cat")
    assert cat is not None
    assert (cat["features"]["revenue"], cat["units"]["revenue"]) == (1234, "money")


def test_the_command_shows_a_customer_with_what_happened_lately(told: Scope) -> None:
    arguments = "customer", "ann@SHOP.example", "--state", told.state, "--brokers", told.broker.bootstrap
    found = json.loads(told.ask(*arguments, "--json"))
    lately = {(it["what"], it["at"]) for it in found["timeline"]}
    assert {("trigger", at(16)), ("merge", at(2)), ("consent", at(2.1)), ("seen", at(-1))} <= lately
    assert [it["at"] for it in found["timeline"]] == sorted(
        (it["at"] for it in found["timeline"]), reverse=True
    )
    said = told.ask(*arguments)
    assert found["customer"] in said
    assert "cart_abandoned k1 by email" in " ".join(said.split())
    from_state = json.loads(told.ask(*arguments[:4], "--json"))["timeline"]
    assert ("trigger", at(16), "cart_abandoned, the last one that went out") in [
        (it["what"], it["at"], it["detail"]) for it in from_state
    ]
    merges = [it for it in from_state if it["what"] == "merge"]
    assert merges == [], "only the topic knows"


def test_nobody_is_found_by_an_identifier_that_never_came(told: Scope) -> None:
    said = told.ask("customer", "Stranger@shop.example", "--state", told.state, code=1)
    assert "nobody has the identifier 'Stranger@shop.example'" in said
    assert "email:stranger@shop.example" in said, "how it was understood"


def test_tail_prints_a_topic_once_as_json_lines(told: Scope) -> None:
    said = told.ask("tail", told.topic("triggers"), "--brokers", told.broker.bootstrap, "--once")
    line = json.loads(said)
    assert line["key"] == only(told.records("triggers")).key
    assert line["attributes"]["ce_type"] == "oncue.trigger.cart_abandoned"
    assert line["body"]["basket"]


def test_a_finished_run_is_finished_and_says_so_again(told: Scope) -> None:
    before = told.size("triggers") + told.size("decisions")
    program = told.run()
    assert program.wait() == 0, program.said
    assert told.size("triggers") + told.size("decisions") == before


def test_two_workers_give_the_same_as_one(broker: Broker, scoped: Maker) -> None:
    outputs = []
    for workers in (1, 2):
        scope = scoped(broker, shards="4")
        scope.send(*STORY[:2], partition=0)
        scope.send(*STORY[2:], partition=3)
        scope.send(LATER, partition=1)
        scope.complete("--workers", workers)
        outputs.append(
            {
                name: sorted(plain(record, scope) for record in scope.records(name))
                for name in ("triggers", "decisions", "identities", "dead-letters")
            }
        )
    assert outputs[0] == outputs[1]
    assert [len(found) for found in outputs[0].values()] == [1, 1, 0, 1]


def plain(record: Record, scope: Scope) -> str:
    """What a record says, without the scope's name and what follows from it."""
    body = record.body
    return json.dumps({key: value for key, value in body.items() if key not in ("customer", "topic")})


def test_sigterm_ends_a_run_within_seconds_and_the_next_goes_on(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    scope.send(*STORY)
    first = scope.run()
    scope.await_records("dead-letters", 1, first)
    began = time.monotonic()
    assert first.stop() == 0, first.said
    assert time.monotonic() - began < 8
    assert first.said == ""
    scope.send(LATER)
    second = scope.run()
    assert only(scope.await_records("triggers", 1, second)).body["key"] == "k1"
    assert second.stop() == 0, second.said
    assert len(scope.records("triggers")) == 1


def test_sigterm_ends_a_supervised_run_too(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    scope.send(*STORY)
    program = scope.run("--workers", 2)
    scope.await_records("dead-letters", 1, program)
    assert program.stop(15) == 0, program.said


def test_state_can_be_looked_at_while_workers_run(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    program = scope.run("--workers", 2)
    scope.send(*STORY)

    until(lambda: (it := scope.known("ann", program)) and it["open"], "her open cart in a checkpoint")
    found = customer_of(scope, "ann@shop.example")
    assert "anonymous_id:cookie-1" in {it["key"] for it in found["identifiers"]}
    assert found["open"] == [
        {"rule": "cart_abandoned", "key": "k1", "since": at(1), "due": at(16), "items": 3, "value": 2100}
    ]


def test_a_second_run_on_the_same_state_is_refused_while_the_first_lives(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    scope.send(*STORY)
    first = scope.run()
    scope.await_records("dead-letters", 1, first)
    second = scope.run()
    assert second.wait() == 2
    assert f"is in use by process {first.process.pid}; one oncue at a time" in second.said
    assert first.running


def now_as(minutes_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - minutes_ago * 60, UTC).isoformat()


def live(raw: bytes, ago: float = 0) -> bytes:
    """The event as if it happened now."""
    return orjson.dumps(orjson.loads(raw) | {"timestamp": now_as(ago)})


def test_an_absence_is_noticed_when_the_whole_scope_falls_silent(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka, wait="2s", idle="follow", idle_delay="500ms")
    program = scope.run()
    scope.send(live(consent(0, user="ann")))
    scope.send(live(track("Product Added", 0, id="a1", user="ann", cart_id="k1", product_id="p1")))
    sent = time.time()
    trigger = only(scope.await_records("triggers", 1, program))
    assert trigger.body["key"] == "k1"
    assert 2 < time.time() - sent < 15
    assert program.stop() == 0


def test_a_quiet_partition_does_not_hold_time_back_and_loses_nothing(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker, sources=("web", "app"))
    program = scope.run()
    scope.send(STORY[3], STORY[4], source="app", partition=2)
    scope.send(*STORY[:3], source="web", partition=1)
    scope.send(LATER, source="web", partition=1)
    decided = {record.body["key"] for record in scope.await_records("decisions", 1, program)}
    scope.send(
        consent(60, id="q1", user="quinn"),
        track("Product Added", 61, id="q2", user="quinn", cart_id="kq", product_id="p1"),
        source="app", partition=2,
    )  # fmt: skip
    scope.send(track("Product Viewed", 90, id="z2", user="zoe", product_id="p9"), source="web", partition=1)
    found = {record.body["key"] for record in scope.await_records("triggers", 2, program)}
    assert (decided, found) == ({"k2"}, {"k1", "kq"})


def test_produce_brings_a_file_of_json_lines_to_a_topic(mock: Broker, scoped: Maker, tmp_path: Path) -> None:
    scope = scoped(mock)
    lines = tmp_path / "events.jsonl"
    lines.write_bytes(b"\n".join([*STORY[:3], b"", b"not json"]) + b"\n")
    said = scope.ask("produce", lines, "--brokers", scope.broker.bootstrap, "--topic", scope.topic("web"))
    assert f"4 records to {scope.topic('web')}" in said
    records = scope.records("web")
    assert sorted(record.raw for record in records) == sorted([*STORY[:3], b"not json"])
    assert {record.key for record in records} == {"cookie-1", ""}
    told = "--config", scope.config, "--brokers", scope.broker.bootstrap
    assert "no report yet" in scope.ask("ledger", *told)
    said = scope.ask("finish", *told)
    assert "input ends after 4 records" in said
    program = scope.run()
    assert program.wait() == 0, program.said
    assert len(scope.records("dead-letters")) == 1


def test_topics_are_created_once_with_their_settings(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka, topics=False)
    arguments = (
        "topics",
        "create",
        "--config",
        scope.config,
        "--brokers",
        kafka.bootstrap,
        "--partitions",
        3,
    )
    said = scope.ask(*arguments)
    assert set(said.split()) == {scope.topic(name) for name in (
        "web", "triggers", "decisions", "dead-letters", "identities", "ledger", "moves", "control", "order",
        "profiles",
    )}  # fmt: skip
    assert scope.ask(*arguments) == "all topics are there\n"
    topic = ConfigResource(ConfigResource.Type.TOPIC, scope.topic("moves"))
    topic.set_config("max.message.bytes", "1000")
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.alter_configs([topic])[topic].result(PATIENCE)
    assert "moves has max.message.bytes=1000; a new one would get 16777216" in scope.ask(*arguments)
    listed = json.loads(scope.ask("topics", "list", "--config", scope.config, "--json"))
    assert {row["topic"] for row in listed} == set(said.split())


def test_the_demo_shows_every_kind_of_outcome(tmp_path: Path) -> None:
    summary = tmp_path / "demo.json"
    program = Program(tmp_path / "demo.log", "demo", "--speed", 3000, "--json", summary)
    try:
        assert program.wait() == 0, program.said
    finally:
        program.end()
    found = json.loads(summary.read_text())
    assert set(found["triggers"]) == {
        "cart_abandoned", "checkout_abandoned", "repeated_interest", "category_interest", "price_drop",
        "search_without_click", "high_value_cart", "about_to_leave", "churn_risk",
    }  # fmt: skip
    assert "price_drop: ended" in found["cancelled"]
    assert sum(found["triggers"].values()) == len(found["sent"]) >= 20
    assert found["merges"]["with_an_open_cart"] >= 1
    reasons = {held.partition(": ")[2] for held in found["held_back"]}
    assert {"consent-unknown", "cooldown"} <= reasons
    assert found["ledger"]["balanced"] is True
    assert found["dead_letters"] >= 1
    assert "ledger" in program.said
