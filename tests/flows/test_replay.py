"""`oncue replay` as its users run it: over topics, to an end, killed and continued."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer

from flows import deadletters, handover
from flows import plan as planning
from flows import replay as replaying
from flows.deadletters import BadTransform, Which
from flows.fixed import BadModel
from flows.ranges import BadRange
from flows.replay import Asked
from operators import differences
from operators import playbook as playbooks
from schemas import topics
from state import points
from state.backup import backup, restore
from state.errors import StateError
from tests.brokers import EmbeddedBroker, RealBroker
from tests.events import consent, event, track
from tests.flows.collector import Port
from tests.flows.conftest import Maker
from tests.flows.running import Record, Scope, committed
from tests.models import linear
from tests.program import PATIENCE, Program, until

DECIDED = ("triggers", "decisions", "dead-letters", "identities")
SHOPPERS = 120


def visit(number: int) -> Iterator[bytes]:
    """A stranger fills a cart and leaves. Two of three log in, which makes one of two customers, and half
    of all agree to be written to."""
    start, cookie, user = number / 4, f"cookie-{number}", f"u{number}"
    yield track("Product Viewed", start, user=user, product_id="p0")
    yield track(
        "Product Added", start + 0.5, anonymous=cookie, cart_id=f"k{number}", product_id="p1", price=9
    )
    if number % 3:
        yield event("identify", start + 1, user=user, anonymous=cookie)
    if number % 2:
        yield consent(start + 1.5, user=user)


@pytest.fixture
def shop(mock: EmbeddedBroker, scoped: Maker) -> Scope:
    """What a live run has worked off, in four partitions, with an event that nobody can read."""
    scope = scoped(mock)
    for partition in range(4):
        scope.send(*(raw for n in range(partition, SHOPPERS, 4) for raw in visit(n)), partition=partition)
    scope.send(b"{not json", track("Product Viewed", 200, user="late", product_id="p9"))
    scope.complete()
    return scope


def replay(scope: Scope, name: str, *more: object, **settings: Any) -> Program:
    return scope.oncue(
        "replay", "--config", scope.config, "--brokers", scope.broker.bootstrap, "--state",
        scope.folder / name, *more, **settings,
    )  # fmt: skip


def completed(scope: Scope, name: str, *more: object) -> str:
    """Run a replay to its end; the space of its topics."""
    return ended(scope, name, replay(scope, name, *more))


def ended(scope: Scope, name: str, program: Program) -> str:
    assert program.wait() == 0, program.said
    found = planning.read(scope.folder / name / scope.name)
    assert found is not None
    return found.space


def decided(scope: Scope, space: str) -> dict[str, list[tuple[str, bytes]]]:
    """Ids and bodies of what was decided, sorted, without the numbers of merges: those follow from the order
    of everybody's events."""
    return {
        name: sorted(
            (it.headers["ce_id"], re.sub(rb',"move":\d+', b"", it.raw))
            for it in committed(scope.broker, f"{space}.{name}")
        )
        for name in DECIDED
    }


def everything(scope: Scope) -> dict[str, list[Record]]:
    return {it.name: scope.records(it.name) for it in topics.OUTPUTS} | {"order": scope.records("order")}


def test_it_decides_the_same_again_on_topics_of_its_own(shop: Scope) -> None:
    before = everything(shop)
    live = decided(shop, shop.name)
    assert len(live["triggers"]) > SHOPPERS / 4
    assert len(live["identities"]) == SHOPPERS * 2 / 3
    assert len(live["dead-letters"]) == 1
    space = completed(shop, "again")
    assert space.startswith(f"{shop.name}.replay-")
    assert decided(shop, space) == live
    assert everything(shop) == before, "the replay wrote to live topics"

    assert completed(shop, "again") == space, "the same command finds its end again"
    assert decided(shop, space) == live
    other = replay(shop, "again", "--order", "live")
    assert other.wait() == 2
    assert "--order was 'event-time' and is 'live' now" in other.said
    run = shop.oncue("run", "--config", shop.config, "--brokers", shop.broker.bootstrap, "--state",
                     shop.folder / "again")  # fmt: skip
    assert run.wait() == 2
    assert "holds a replay" in run.said


def durable(root: Path) -> int:
    """The cut that a copy of the state would go on from; -1 before there is one."""
    found = points.read(root / "points", points.SEQUENCE)
    return found[-1][0] if found else -1


def test_killed_or_restored_it_goes_on_with_the_same_command_and_shows_how_it_is(shop: Scope) -> None:
    live = decided(shop, shop.name)
    state, backups = shop.folder / "killed", str(shop.folder / "backups")
    for _ in range(2):
        before = durable(state / shop.name)
        program = replay(shop, "killed", "--rate", 60, "--telemetry-port", 0, "--log-format", "json")
        until(
            lambda: durable(state / shop.name) > before or not program.running,  # noqa: B023
            "a durable epoch",
        )
        assert program.running, program.said
        port = Port(program)
        until(lambda: port.value("oncue_events_total", oncue_scope=f"{shop.name}.replay"), "events")  # noqa: B023
        program.kill()
        assert {json.loads(line)["oncue.scope"] for line in program.said.splitlines()} == {shop.name}
        backup(state / shop.name, backups)
        state.rename(shop.folder / secrets.token_hex(4))
        restore(backups, state)
    assert decided(shop, completed(shop, "killed")) == live


def test_it_repeats_the_cuts_of_the_live_run_with_two_workers_and_writes_nothing_if_asked(
    shop: Scope,
) -> None:
    results = shop.folder / "results"
    asked = "live", "--order", "live", "--output", "none", "--workers", 2, "--log-format", "json"
    program = replay(shop, *asked, first=lambda: os.dup2(os.open(results, os.O_WRONLY | os.O_CREAT), 1))
    until(lambda: len(program.members()) == 2 or not program.running, "two workers")
    for worker in program.members():  # what Bytewax prints does not come between results
        until(lambda: os.readlink(f"/proc/{worker}/fd/1") != str(results), "its output goes elsewhere")  # noqa: B023
    space = ended(shop, "live", program)
    assert results.read_text() == ""
    assert {json.loads(line)["oncue.scope"] for line in program.said.splitlines()} == {shop.name}
    numbers = len(committed(shop.broker, f"{space}.order"))
    assert numbers >= len(shop.records("order"))
    assert len(committed(shop.broker, f"{space}.moves")) == SHOPPERS * 2 / 3
    missing = shop.oncue("tail", f"{space}.triggers", "--brokers", shop.broker.bootstrap, "--once")
    assert missing.wait() == 2
    asked = Asked(shop.config, shop.broker.bootstrap, shop.folder / "silent", output="none")
    with pytest.raises(BadRange, match="with --output none it does not write all of that"):
        replaying.begin(asked, compared=True)
    with pytest.raises(StateError, match="holds the state of a live run"):
        replaying.begin(Asked(shop.config, shop.broker.bootstrap, shop.state))
    assert not (shop.state / shop.name / planning.FILE).exists()


def test_an_archive_of_the_records_gives_the_same_without_their_topic(shop: Scope) -> None:
    """With offsets and times as the broker had them, also the same ids."""
    named = []
    for partition in range(4):
        kept = shop.folder / f"{partition}.jsonl"
        lines = [
            orjson.dumps({"offset": it.offset, "value": it.raw.decode()})
            for it in shop.records("web")
            if it.partition == partition
        ]
        kept.write_bytes(b"\n".join(lines))
        named += ["--archive", f"web/{partition}={kept}"]
    space = completed(shop, "archived", *named)
    assert decided(shop, space) == decided(shop, shop.name)


def test_mended_dead_letters_come_in_their_place(shop: Scope) -> None:
    """One event cannot be read: a cart that was left behind after the others."""
    mend = shop.folder / "mend.py"
    mended = track("Product Added", 100, user="u1", cart_id="mended", product_id="p1", price=9)
    mend.write_text(f"def transform(original, letter):\n    return {mended!r}\n")
    space = completed(shop, "mended", "--transform", mend)
    live, found = decided(shop, shop.name), decided(shop, space)
    assert found["dead-letters"] == []
    more = [body for id, body in found["triggers"] if id not in dict(live["triggers"])]
    assert [orjson.loads(body)["key"] for body in more] == ["mended"]
    mend.write_text("def transform(original, letter):\n    return None\n")
    other = replay(shop, "mended", "--transform", mend)
    assert other.wait() == 2
    assert "--transform was" in other.said
    mend.write_text("def transform(original, letter):\n    return original.decode()\n")
    other = replay(shop, "text", "--transform", mend)
    assert other.wait() == 2
    (letter,) = shop.records("dead-letters")
    assert other.said.endswith(f"mend.py on {letter.key}: gave str, not bytes or None\n")
    mend.write_text("transform = None")
    with pytest.raises(BadTransform, match="has no function transform"):
        Asked(shop.config, shop.broker.bootstrap, shop.folder / "none", transform=mend)


def test_some_customers_are_rebuilt_with_everything_that_is_connected_with_them(shop: Scope) -> None:
    chosen = shop.folder / "people.txt"
    chosen.write_text("cookie-1\nu5\n")
    space = completed(shop, "some", "--customers", chosen, "--compare")  # only with what they got live
    told = {orjson.loads(body)["key"]: id for id, body in decided(shop, shop.name)["triggers"]}
    assert sorted(id for id, _ in decided(shop, space)["triggers"]) == sorted([told["k1"], told["k5"]])
    one, other = (
        json.loads(shop.ask("customer", "u1", "--state", state, "--json"))
        for state in (shop.state, shop.folder / "some")
    )
    assert one["identifiers"] == other["identifiers"]
    assert one["customer"] == other["customer"]
    with pytest.raises(StateError, match="only some customers"):
        handover.promote(shop.folder / "some", shop.state, shop.broker.bootstrap)
    chosen.write_text("nobody-at-all\n")
    unknown = replay(shop, "unknown", "--customers", chosen)
    assert unknown.wait() == 2
    assert "no event of the range is of nobody-at-all" in unknown.said


FORETOLD = """
  keen:
    {kind: crossing, of: intent_probability, above: 0.5, channel: email, purpose: marketing, expires: 24h,
     facts: [intent_model]}
intent: {on: [Order Completed], signals: {looks: [Product Viewed]}}
profiles: {every: 1m}
engine:"""


def test_a_model_that_is_named_gives_every_score_and_is_named_as_the_cause_of_what_differs(
    mock: EmbeddedBroker, scoped: Maker
) -> None:
    """Live, nobody was keen: model 3 scored, and model 7 was published when all was over."""
    scope = scoped(mock, topics=False)
    scope.config.write_text(scope.config.read_text().replace("\nengine:", FORETOLD))
    scope.book = playbooks.load(scope.config.read_text())
    scope.create_topics()
    definition, people = scope.book.foretold["intent"].definition, 40
    scope.send(linear(definition, 3, bias=-3), source="models")
    for n in range(people):
        who = {"user": f"u{n}"}
        scope.send(consent(n / 4, **who), track("Product Viewed", n / 4 + 1, product_id="p", **who))
    scope.send(consent(200, user="late"))
    scope.complete()
    assert scope.records("triggers") == []
    scope.send(linear(definition, 7, bias=3), source="models")

    asked = Asked(scope.config, mock.bootstrap, scope.folder / "wrong", models=("5",))
    with pytest.raises(
        BadModel, match=r"holds no intent model 5\. Of the playbook's definition there are 3, 7"
    ):
        replaying.begin(asked)
    assert not asked.state.exists()
    for order in planning.EVENT_TIME, planning.LIVE:
        state = scope.folder / order
        told = "--order", order, "--compare", "--json", "--model"
        if order == planning.LIVE:
            program = replay(scope, order, *told, "7", "--rate", 30)
            until(lambda: [*state.glob("*/resolve/ckpt-*")] or not program.running, "a checkpoint")  # noqa: B023
            assert program.running, program.said
            program.kill()
            with pytest.raises(StateError, match="--model was 'intent=7' and is 'intent=3' now"):
                replaying.begin(Asked(scope.config, mock.bootstrap, state, order=order, models=("3",)))
        program = replay(scope, order, *told, "intent=7")
        assert program.wait() == 0, program.said
        report = json.loads(program.said[program.said.index("{") :])
        assert report["causes"] == {differences.MODEL: people}
        assert {it["detail"] for it in report["differences"]} == {
            "decided from a score, which --model intent=7 gave in the replay"
        }
        found = [it.body for it in committed(mock, f"{report['space']}.triggers")]
        assert [(it["rule"], it["facts"]["intent_model"]) for it in found] == [("keen", 7)] * people
        profiles = [it.body for it in committed(mock, f"{report['space']}.profiles")]
        assert {it["intent"]["model"] for it in profiles if it["intent"]} == {7}


def test_a_dry_run_says_what_it_would_take_and_makes_nothing(shop: Scope) -> None:
    said = json.loads(shop.ask("replay", "--config", shop.config, "--brokers", shop.broker.bootstrap,
                               "--state", shop.folder / "dry", "--dry-run", "--json"))  # fmt: skip
    assert said["events"] == said["sampled"] == shop.size("web")
    assert said["input_bytes"] == sum(len(it.raw) for it in shop.records("web"))
    assert said["state_bytes"] > 10 * SHOPPERS
    assert not (shop.folder / "dry").exists()


def test_only_who_says_it_twice_writes_to_live_topics_and_then_only_what_is_missing(shop: Scope) -> None:
    once = replay(shop, "live", "--output", "live")
    assert once.wait() == 2
    assert f"To say so a second time add --publish {shop.name}" in once.said
    with pytest.raises(BadRange, match="second word for --output live: without that nothing is published"):
        replaying.begin(Asked(shop.config, shop.broker.bootstrap, shop.folder / "live", publish=shop.name))
    prefix = replay(shop, "live", "--output", shop.name)
    assert prefix.wait() == 2
    assert "topics of the live run begin so" in prefix.said
    before = everything(shop)
    program = replay(shop, "live", "--output", "live", "--publish", shop.name)
    assert program.wait() == 0, program.said
    assert everything(shop) == before, "all of it was there"
    for name in ("triggers", "decisions", "identities"):
        told = f"{shop.topic(name)}: 0 sent, {len(before[name])} of the range were there already"
        assert told in program.said

    mend = shop.folder / "mend.py"
    mended = track("Product Added", 100, user="u1", cart_id="mended", product_id="p1", price=9)
    mend.write_text(f"def transform(original, letter):\n    return {mended!r}\n")
    program = replay(shop, "more", "--output", "live", "--publish", shop.name, "--transform", mend)
    assert program.wait() == 0, program.said
    more = shop.records("triggers")
    assert len(more) == len(before["triggers"]) + 1
    assert f"{shop.topic('triggers')}: 1 sent, {len(more) - 1} of the range were there" in program.said


def test_a_range_ends_where_it_was_told_to(shop: Scope) -> None:
    name = f"{shop.name}.web"
    some = completed(shop, "some", "--to", f"{name}/0:3,{name}/1:0,{name}/2:0,{name}/3:0")
    assert decided(shop, some)["triggers"] == []
    assert decided(shop, some)["identities"] == []
    wrong = replay(shop, "wrong", "--from", "yesterday")
    assert wrong.wait() == 2
    assert "--from 'yesterday' is none of: beginning, a time such as" in wrong.said
    with pytest.raises(BadRange, match="does not know when it got which record"):
        replaying.begin(Asked(shop.config, shop.broker.bootstrap, shop.folder / "past", "2026-03-01T00:00Z"))
    with pytest.raises(BadRange, match=rf"{name}/7\. The playbook reads, .*: {name} \(4\)"):
        replaying.begin(Asked(shop.config, shop.broker.bootstrap, shop.folder / "past", f"{name}/7:0"))
    gone = replay(shop, "gone", "--to", f"{name}/0:300000")
    assert gone.wait() == 2
    assert f"{name}/0 ends at" in gone.said


def compared(scope: Scope, name: str, *more: object) -> dict[str, Any]:
    """What `--compare --json` says."""
    program = replay(scope, name, "--compare", "--json", *more)
    program.wait()
    assert "\n{" in f"\n{program.said}", program.said
    found: dict[str, Any] = json.loads(program.said[program.said.index("{") :])
    return found


def test_a_letter_that_was_sent_again_after_the_end_is_outside_of_what_the_live_run_saw(shop: Scope) -> None:
    mend = shop.folder / "mend.py"
    mended = track("Product Added", 100, user="u1", cart_id="mended", product_id="p1", price=9)
    mend.write_text(f"def transform(original, letter):\n    return {mended!r}\n")
    assert deadletters.replay(shop.book, shop.broker.bootstrap, Which(), lambda *_: mended) == (1, 0)
    shop.send(b"{not json either")
    own = [it for it in shop.records("web") if it.partition == 0]
    copy, broken = (f"{shop.name}.web/0/{it.offset}" for it in own[-2:])
    report = compared(shop, "now")
    assert report["causes"] == {differences.END: 2}
    assert [(it["topic"], it["what"], it["detail"]) for it in report["differences"]] == [
        ("dead-letters", "new", f"the live run has not let {broken} in yet"),
        ("triggers", "new", f"the live run has not let {copy} in yet"),
    ]

    report = compared(shop, "mended", "--order", "live", "--transform", mend)
    assert report["causes"] == {differences.MENDED: 2}
    assert [(it["topic"], it["what"]) for it in report["differences"]] == [
        ("dead-letters", "missing"),
        ("triggers", "new"),
    ]

    one = shop.records("triggers")[0]
    published = {**one.headers, "ce_id": "more", "ce_source": f"oncue/{report['space']}"}
    producer = Producer({"bootstrap.servers": shop.broker.bootstrap, "log_level": 0})
    producer.produce(shop.topic("triggers"), one.raw, one.key, headers=published)  # is none of the live run's
    assert producer.flush(PATIENCE) == 0
    shop.config.write_text(shop.config.read_text().replace("expires: 24h", "expires: 23h"))
    report = compared(shop, "other", "--order", "live")
    triggers = report["compared"]["triggers"]
    assert report["causes"] == {differences.PLAYBOOK: len(report["differences"])}
    assert triggers["live"] == triggers["replay"] > triggers["same"] == 0


def test_who_asks_for_what_the_topics_do_not_hold_any_more_is_told(
    kafka: RealBroker, scoped: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = scoped(kafka)
    scope.send(*visit(1), *visit(2))
    asked = Asked(scope.config, kafka.bootstrap, scope.folder / "trimmed")
    assert replaying.plan(asked, scope.book).events == scope.size("web")
    assert capsys.readouterr().err == ""
    kafka.trim(scope.topic("web"), 3)
    replaying.plan(asked, scope.book)
    said = capsys.readouterr().err
    assert f"retention has removed what was before offset: {scope.topic('web')}/0 at 3" in said
    asked = Asked(scope.config, kafka.bootstrap, scope.folder / "early", end="2026-03-02T10:00Z")
    with pytest.raises(BadRange, match=r"hold no records\. Times are those when the broker got the records"):
        replaying.plan(asked, scope.book)
