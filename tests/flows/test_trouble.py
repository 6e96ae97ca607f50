"""What an operator meets: a broker that is not there, topics, offsets and playbooks that do not fit, a full
disk. Each ends with exit code 2 (77 when starting again may help) and words that say what, where and what to
do, and doing it helps."""

import resource
import shutil
import threading
import time

from flows.ending import INTERRUPTED, TROUBLE
from state.store import checkpoints
from tests.brokers import Broker, RealBroker
from tests.events import consent, track
from tests.flows.conftest import Maker
from tests.flows.test_run import LATER, STORY, live
from tests.program import Program, until

NOBODY = "127.0.0.1:9"


def refused(program: Program, *words: str, code: int = TROUBLE, workers: int = 1) -> str:
    """It ends with this exit code and a message, no traceback, that holds all the words. With several workers
    Bytewax says before it that threads of its own panicked: those of who lost the connection."""
    assert program.wait() == code, program.said
    assert "Traceback" not in program.said
    said = program.said[program.said.index("oncue: ") :]
    assert workers > 1 or said == program.said
    missing = [word for word in words if word not in said]
    assert not missing, said
    return said


def test_every_command_says_so_when_the_broker_is_not_there(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    lines = scope.folder / "events.jsonl"
    lines.write_bytes(STORY[0] + b"\n")
    programs = [
        scope.oncue(*command, "--brokers", NOBODY)
        for command in (
            ("run", "--config", scope.config, "--state", scope.state),
            ("topics", "create", "--config", scope.config),
            ("finish", "--config", scope.config),
            ("ledger", "--config", scope.config),
            ("tail", "some.topic", "--once"),
            ("produce", lines, "--topic", "some.topic"),
        )
    ]
    for program in programs:
        refused(program, NOBODY, "--brokers", "runs and can be reached", code=INTERRUPTED)
    assert not scope.state.exists()


def test_all_missing_topics_are_named_at_once_with_the_command_that_makes_them(
    kafka: RealBroker, scoped: Maker
) -> None:
    scope = scoped(kafka, topics=False, sources=("web", "app"))
    kafka.create(scope.topic("web"))
    names = (
        "app",
        "order",
        "control",
        "triggers",
        "decisions",
        "dead-letters",
        "identities",
        "ledger",
        "moves",
    )
    said = refused(scope.run(), kafka.bootstrap, *map(scope.topic, names), "oncue topics create --config")
    assert scope.topic("web") not in said
    scope.ask("topics", "create", "--config", scope.config, "--brokers", kafka.bootstrap)
    program = scope.complete()
    assert program.said == ""


def test_output_topics_with_another_number_of_partitions_are_all_named(
    kafka: RealBroker, scoped: Maker
) -> None:
    scope = scoped(kafka, topics=False)
    kafka.create(scope.topic("triggers"), 2)
    kafka.create(scope.topic("moves"), 8)
    scope.create_topics()
    refused(
        scope.run(),
        "engine.partitions = 4",
        f"{scope.topic('triggers')} has 2",
        f"{scope.topic('moves')} has 8",
    )


def test_trimmed_input_stops_a_run_until_somebody_accepts_the_gap(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    scope.send(*STORY)
    first = scope.run()
    scope.await_records("dead-letters", 1, first)
    assert first.stop() == 0, first.said
    scope.send(*(track("Product Viewed", 30, user="v", product_id=f"p{n}") for n in range(10)), LATER)
    kafka.trim(scope.topic("web"), 15)
    refused(
        scope.run(),
        f"{scope.topic('web')}/0 should be read from offset 10", "5 records", "15 to 21",
        "--on-gap earliest", "--on-gap latest",
    )  # fmt: skip
    scope.complete("--on-gap", "earliest")
    said = scope.ask("ledger", "--json", "--config", scope.config, "--brokers", kafka.bootstrap)
    assert '"in": 16' in said
    assert [record.body["key"] for record in scope.records("triggers")] == ["k1"]


def test_a_trimmed_order_topic_stops_a_run_and_says_why(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka, epoch="60s")
    scope.send(*STORY)
    first = scope.run()
    scope.await_records("dead-letters", 1, first)
    first.end()
    kafka.trim(scope.topic("order"), 1)
    refused(scope.run(), f"{scope.topic('order')} begins at offset 1", "needs it from 0", "retention")


def test_a_wrong_playbook_is_refused_with_every_mistake(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    text = scope.config.read_text()
    for old, new in (
        ("wait: 15m", "wait: soon"),
        ("measure: orders", "measure: odrers"),
        ("basket", "baskte"),
    ):
        text = text.replace(old, new)
    scope.config.write_text(text)
    said = refused(scope.run(), "'soon' is not a duration", "did you mean 'orders'", "did you mean 'basket'")
    assert said.count(f"{scope.config}:") == 3
    assert scope.oncue("check", scope.config).wait() == 2


def test_a_changed_playbook_needs_a_clean_stop(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock, epoch="60s")
    old = scope.config.read_text()
    new = old.replace("wait: 15m", "wait: 20m")
    scope.send(*STORY)
    first = scope.run()
    scope.await_records("dead-letters", 1, first)
    first.end()  # not a clean stop: the epoch has not ended
    scope.config.write_text(new)
    refused(scope.run(), "another playbook", "Start once with the old playbook", "SIGTERM")
    assert (scope.state / scope.name / "playbook.yaml").read_text() == old
    scope.config.write_text(old)
    again = scope.run()
    ordered = scope.size("order")
    until(lambda: not again.running or scope.size("order") > ordered, "the old playbook goes on")
    assert again.stop() == 0, again.said
    scope.config.write_text(new)
    scope.send(LATER)
    scope.complete()
    trigger = scope.records("triggers")[0].body
    assert trigger["why"].startswith("nothing for 20m")
    assert len(scope.records("dead-letters")) == 1

    # The state is lost: each playbook repeats what it had made, in its turn.
    shutil.rmtree(scope.state)
    refused(scope.run(), "another playbook")
    scope.config.write_text(old)
    refused(scope.run(), "all cuts of this playbook are repeated", "Start with that")
    scope.config.write_text(new)
    program = scope.run()
    assert program.wait() == 0, program.said
    assert scope.records("triggers")[0].body == trigger
    assert len(scope.records("triggers")) == len(scope.records("dead-letters")) == 1


def test_state_made_for_something_else_is_refused_with_each_difference(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    scope.complete()
    text = scope.config.read_text()
    scope.config.write_text(text.replace("shards: 2", "shards: 4"))
    refused(scope.run(), f"{scope.state / scope.name}", "shards is 2 there and 4 now")
    made_with = (scope.state / scope.name / "playbook.yaml").read_text()
    scope.config.write_text(text.replace(" email: {},", " email: {limit: 2},"))
    refused(scope.run(), str(scope.state / scope.name), "email.limit is 2 and was no limit", "another scope")
    assert (scope.state / scope.name / "playbook.yaml").read_text() == made_with == text
    scope.config.write_text(text)
    other = scoped(mock)
    other.state = scope.state
    refused(other.run(), f"belongs to the scope '{scope.name}', not to '{other.name}'", "--state")


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))


def test_a_full_disk_stops_a_run_which_goes_on_once_there_is_room(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    scope.send(*STORY)
    noise = [f"{n:04d}" + "".join(chr(97 + (n * 31 + i * i) % 26) for i in range(300)) for n in range(1500)]
    scope.send(*(track("Product Viewed", 10, user=text, product_id="p") for text in noise))
    program = scope.run(first=limit_files)
    refused(program, f"cannot write the state in {scope.state / scope.name}", "Nothing is lost", "make room")
    scope.send(LATER)
    scope.complete()
    assert [record.body["key"] for record in scope.records("triggers")] == ["k1"]
    said = scope.ask("ledger", "--json", "--config", scope.config, "--brokers", mock.bootstrap)
    assert f'"in": {len(STORY) + len(noise) + 1}' in said
    assert '"dead_lettered": 1' in said


def test_damaged_state_is_refused_and_rebuilt_as_the_message_says(kafka: RealBroker, scoped: Maker) -> None:
    scope = scoped(kafka)
    scope.send(*STORY[:6])
    first = scope.run()
    until(lambda: scope.known("bob", first), "a checkpoint with the customers")
    assert first.stop() == 0, first.said
    newest = checkpoints(scope.state / scope.name / "resolve")[-1][2]
    next(iter(newest.glob("MANIFEST-*"))).write_bytes(b"\0" * 64)
    scope.send(*STORY[6:], LATER)
    wanted = str(newest), "move the whole state directory of the scope away", "start again"
    refused(scope.run("--workers", 2), *wanted, workers=2)
    refused(scope.run(), *wanted)
    shutil.move(scope.state / scope.name, scope.folder / "away")
    scope.complete()
    assert len(scope.records("triggers")) == len(scope.records("decisions")) == 1
    assert len(scope.records("dead-letters")) == 1


def test_a_broker_that_is_away_for_a_while_loses_nothing_and_fires_nothing(
    own: RealBroker, scoped: Maker
) -> None:
    """While it is away, orders are placed that the shop can only bring to Kafka afterwards."""
    scope = scoped(own, wait="6s", idle="follow", idle_delay="500ms", settle="3s")
    program = scope.run()
    for again in range(10):  # carts that were filled too long before the outage are abandoned already
        names = [f"u{again}-{n}" for n in range(20)]
        began = time.monotonic()
        scope.send(*(live(consent(0, id=f"c-{name}", user=name)) for name in names))
        carts = (
            live(track("Product Added", 0, id=f"a-{name}", user=name, cart_id=name, product_id="p"))
            for name in names
        )
        scope.send(*carts)
        until(lambda: scope.known(names[-1], program), "the last of them in a checkpoint")  # noqa: B023
        own.pause()
        if time.monotonic() - began < 5:
            break
        own.resume()
    try:
        orders = [
            live(track("Order Completed", 0, id=f"o-{name}", user=name, cart_id=name, order_id=name, total=1))
            for name in names[1:]
        ]
        shop = threading.Thread(target=scope.send, args=orders)
        shop.start()
        shop.join(20)  # the outage; the shop gets rid of nothing meanwhile
        assert shop.is_alive()
    finally:
        own.resume()
    shop.join()
    scope.await_records("triggers", 20 * again + 1, program)
    scope.finish()
    assert program.wait() == 0, program.said
    assert program.said == ""
    keys = [record.body["key"] for record in scope.records("triggers")]
    assert {*keys} & {*names} == {*names[:1]}, "only the cart that nobody paid for"
    assert len(keys) == 20 * again + 1
    assert scope.records("decisions") == []
    said = scope.ask("ledger", "--json", "--config", scope.config, "--brokers", own.bootstrap)
    assert f'"accepted": {40 * again + 59}' in said
