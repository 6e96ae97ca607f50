"""`oncue rehearse` as its users run it: two playbooks over the same topics, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from confluent_kafka.admin import AdminClient

from flows.rehearse import Asked, BadRehearsal, rehearse
from tests.brokers import EmbeddedBroker, RealBroker
from tests.events import consent, event, track
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.program import PATIENCE, until


def changed(scope: Scope, name: str, *changes: tuple[str, str]) -> Path:
    """The scope's playbook with pieces of its text replaced."""
    text = scope.config.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = scope.folder / name
    file.write_text(text)
    return file


def topics_of(scope: Scope) -> set[str]:
    client = AdminClient({"bootstrap.servers": scope.broker.bootstrap})
    return {name for name in client.list_topics(timeout=PATIENCE).topics if name.startswith(scope.name)}


def test_it_says_who_and_what_would_have_been_different_and_removes_what_it_made(
    kafka: RealBroker, scoped: Maker
) -> None:
    """Anna leaves a cart and orders 20 minutes later: with a wait of 30 minutes she is left alone. Bert never
    orders and is written to later. Carl and his tablet are one customer only while devices count."""
    shop = scoped(kafka)
    changes = ("anonymous_id: {}", "anonymous_id: {}, device_id: {}"), ("wait: 15m", "wait: 30m")
    new = changed(shop, "new.yaml", *changes)
    shop.send(
        consent(0, user="anna"),
        consent(0, user="bert"),
        track("Product Added", 1, user="anna", cart_id="a", product_id="p1", price=9),
        track("Product Added", 2, user="bert", cart_id="b", product_id="p1", price=9),
        event("identify", 3, user="carl", device="tablet"),
        track("Product Viewed", 4, anonymous="cookie", device="tablet", product_id="p1"),
        track("Order Completed", 21, user="anna", cart_id="a", order_id="o1", total=9),
        track("Product Viewed", 300, user="late", product_id="p1"),
    )
    for partition in range(1, 4):
        shop.send(track("Product Viewed", 300, user=f"late{partition}", product_id="p1"), partition=partition)
    before = topics_of(shop)
    written, page = shop.folder / "report.json", shop.folder / "report.html"
    asked = "rehearse", new, "--against", shop.config, "--brokers", kafka.bootstrap, "--state", shop.folder
    stopped = shop.oncue(*asked)
    until(lambda: " records" in stopped.said or not stopped.running, "begun")
    assert stopped.stop() == 130, stopped.said
    assert stopped.said.endswith("stopped: nothing was compared\n")
    assert topics_of(shop) == before
    assert not list(shop.folder.glob("oncue-rehearsal-*"))
    program = shop.oncue(*asked, "--json", written, "--html", page)
    assert program.wait(3 * PATIENCE) == 0, program.said
    assert "2 before, 1 now; 0 appeared, 1 disappeared, 1 at another time" in program.said
    report = orjson.loads(written.read_bytes())
    triggers = report["compared"]["rules"]["cart_abandoned"]["triggers"]
    assert triggers == {"old": 2, "new": 1, "same": 0, "moved": 1, "appeared": 0, "disappeared": 1}
    gone, moved = report["compared"]["changes"]
    assert (gone["what"], gone["key"], gone["new"]) == ("disappeared", "a", None)
    assert "user_id:anna" in gone["old"]["known_as"]
    assert (moved["what"], moved["new"]["at"] - moved["old"]["at"]) == ("moved", 15 * 60_000)
    people = report["people"]
    assert (people["old"] - people["new"], people["merged"], people["split"]) == (1, 1, 0)
    assert [it["identifiers"] for it in people["examples"][0]["new"]] == [
        ["anonymous_id:cookie", "device_id:tablet", "user_id:carl"]
    ]
    assert report["settings"] == ["identifiers"]
    assert "15m later" in page.read_text()
    assert topics_of(shop) == before, "topics were left behind"
    assert not [*shop.folder.glob("oncue-rehearsal-*")]

    itself = shop.oncue(
        "rehearse", new, "--against", changed(shop, "copy.yaml", *changes), "--brokers", kafka.bootstrap,
        "--state", shop.folder,
    )  # fmt: skip
    assert itself.wait(3 * PATIENCE) == 0, itself.said
    assert "No differences: the same customers, triggers and reasons." in itself.said


def test_what_cannot_be_rehearsed_is_said_at_once(mock: EmbeddedBroker, scoped: Maker) -> None:
    shop = scoped(mock)
    other = changed(shop, "other.yaml", (f"scope: {shop.name}", "scope: elsewhere"))
    with pytest.raises(BadRehearsal, match="compares two playbooks of one scope"):
        rehearse(Asked(other, shop.config, mock.bootstrap))
    with pytest.raises(BadRehearsal, match=f"there are no records in {shop.topic('web')}"):
        rehearse(Asked(shop.config, shop.config, mock.bootstrap))
    wrong = [changed(shop, name, ("kind: absence", "kind: absent")) for name in ("one.yaml", "two.yaml")]
    with pytest.raises(BadRehearsal, match=r"(?s)two.yaml:.*one.yaml:"):
        rehearse(Asked(wrong[0], wrong[1], mock.bootstrap))
