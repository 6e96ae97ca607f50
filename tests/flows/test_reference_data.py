"""Reference data through the real program: an order is priced with the price of its moment."""

from __future__ import annotations

import json
import signal
from typing import Any

import orjson
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from flows.settings import Run
from flows.start import open_run
from flows.steps import Customer
from operators import reference
from operators.cuts import Batch
from operators.graph import Progress
from operators.identity import Identities
from operators.operations import Pack
from operators.order import EVENT, REFERENCE
from operators.resolve import Resolver
from tests.brokers import Broker
from tests.events import at, consent, stamp, track
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.program import PATIENCE

KINDS = ("products", "prices", "stock", "stores", "content")


def priced(minutes: float, price: float, product: str = "p") -> bytes:
    return orjson.dumps(
        {"product_id": product, "price": price, "currency": "USD", "timestamp": stamp(minutes)}
    )


def ordered(minutes: float, quantity: int = 1, user: str = "ann") -> bytes:
    line = {"product_id": "p", "quantity": quantity}
    return track("Order Completed", minutes, user=user, order_id=f"o{minutes}", products=[line])


def revenue(scope: Scope, user: str = "ann") -> Any:
    return json.loads(scope.ask("customer", user, "--state", scope.state, "--json"))["features"]["revenue"]


def test_the_topics_of_reference_data_have_one_partition_that_is_kept_for_ever(
    kafka: Broker, scoped: Maker
) -> None:
    scope = scoped(kafka, reference=KINDS)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    [found] = admin.describe_configs([ConfigResource("topic", scope.topic("prices"))]).values()
    settings = {name: entry.value for name, entry in found.result(PATIENCE).items()}
    assert (settings["cleanup.policy"], settings["retention.ms"]) == ("delete", "-1")
    about = admin.list_topics(scope.topic("prices"), timeout=PATIENCE).topics[scope.topic("prices")]
    assert len(about.partitions) == 1


def test_orders_are_priced_as_of_their_moment_through_a_kill_and_on_a_rebuild(
    mock: Broker, scoped: Maker
) -> None:
    scope = scoped(mock, reference=KINDS)
    scope.send(priced(0, 10), priced(30, 20), b'{"product_id": "p"}', source="prices")
    scope.send(ordered(30 - 1 / 60), ordered(30), ordered(30 + 1 / 60, quantity=2))
    worker = scope.run()
    scope.await_records("dead-letters", 1, worker)
    worker.process.send_signal(signal.SIGKILL)
    worker.wait()
    scope.send(priced(40, 40), source="prices")
    scope.send(ordered(39), ordered(41))
    scope.complete()
    [letter] = scope.records("dead-letters")
    assert (letter.body["topic"], letter.body["offset"]) == (scope.topic("prices"), 2)
    assert revenue(scope) == (10 + 20 + 2 * 20 + 20 + 40) * 100
    assert "balanced" in scope.ask("ledger", "--config", scope.config, "--brokers", mock.bootstrap)
    scope.state.rename(scope.folder / "lost")
    scope.complete()
    assert revenue(scope) == (10 + 20 + 2 * 20 + 20 + 40) * 100
    assert len(scope.records("dead-letters")) == 1


def test_quiet_reference_topics_do_not_hold_time_back(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock, reference=KINDS)
    scope.send(
        consent(0, user="ann"), track("Product Added", 1, user="ann", cart_id="k", product_id="p"),
        track("Product Viewed", 30, user="ben", product_id="p"),
    )  # fmt: skip
    [trigger] = scope.await_records("triggers", 1, scope.run())
    assert trigger.body["decided_at"] == at(16)


# --- the step


@pytest.fixture
def run(mock: Broker, scoped: Maker) -> Run:
    scope = scoped(mock, topics=False, reference=KINDS)
    return open_run(scope.config, mock.bootstrap, scope.state)


def packs(run: Run, number: int, *records: bytes) -> list[Pack]:
    """What resolve makes of a cut of prices and events, one pack per shard."""
    book = run.playbook
    events: list[Any] = []
    for offset, raw in enumerate(records, number * 10):
        if b"messageId" in raw:
            events.append((at(30), 1, offset, EVENT, at(30), ("user_id:ann",), raw))
        else:
            told = reference.read("prices", raw, None, at(30))
            events.append((told.came, 0, offset, REFERENCE, at(30), told, b""))
    batch = Batch(number, at(number), at(number - 1), False, 0, ["shop.prices/0", "shop.web/0"], events)
    identities = Identities(book.scope, book.policies, {}, {}, {}, {})
    return Resolver(identities, book.engine.shards, Progress(open_moves=[], received={})).apply(batch)


def test_a_shard_knows_after_a_restart_what_it_was_told_before(run: Run) -> None:
    shard = next(pack.shard for pack in packs(run, 1, ordered(1)) if pack.operations)
    first = Customer(run, None)
    first.on_batch([packs(run, 1, priced(1, 10), priced(5, 20))[shard]])
    token = first.snapshot()
    first.on_batch([packs(run, 2, priced(2, 99))[shard]])  # not in the snapshot: comes again or never did
    first._store.close()
    second = Customer(run, token)
    second.on_batch([packs(run, 2, ordered(3), ordered(6))[shard]])
    known = second._customers._reference
    assert [known.as_of("prices", "p", at(minute)) for minute in (0, 3, 6)] == [
        None, {"price": 10.0, "currency": "USD"}, {"price": 20.0, "currency": "USD"},
    ]  # fmt: skip
    assert second._customers.counts["shop.web"]["accepted"] == 2


def test_every_shard_is_told_and_one_counts(run: Run) -> None:
    steps = [Customer(run, None) for _ in range(run.playbook.engine.shards)]
    for step, pack in zip(steps, packs(run, 1, priced(1, 10), priced(2, 20)), strict=True):
        step.on_batch([pack])
        assert step._customers._reference.as_of("prices", "p", at(3)) == {"price": 20.0, "currency": "USD"}
    assert sum(step._customers.counts.get("shop.prices", {}).get("accepted", 0) for step in steps) == 2
