"""What could not be used is looked at, mended and sent again, each of it once."""

import json
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer

from flows import deadletters
from flows.deadletters import FROM, BadTransform, Which
from schemas.outbound import DeadLetter
from tests.brokers import Broker, RealBroker
from tests.events import consent, event, track
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.program import PATIENCE, until

ADDED = track("Product Added", 1, id="a1", user="ann", cart_id="k1", product_id="p1", price=10)
MEND = "def transform(original, letter):\n    return original + b'}' if original.startswith(b'{') else None\n"


LETTERS = 15_000  # so many that a busy machine, too, sees the first notes long before the last


def write_letters(scope: Scope, count: int) -> None:
    producer = Producer({"bootstrap.servers": scope.broker.bootstrap})
    for offset in range(count):
        letter = DeadLetter(
            scope.topic("web"), offset % 4, offset, "event", "wrong-type" if offset % 5 else "not-json",
            f"bad [{offset}]", b"original %d" % offset if offset % 3 else b"\xff%d" % offset,
        )  # fmt: skip
        producer.produce(scope.topic("dead-letters"), msgspec.json.encode(letter), partition=offset % 4)
    assert producer.flush(PATIENCE) == 0


def letters(scope: Scope, command: str, *more: object, code: int = 0) -> str:
    where = "--config", scope.config, "--brokers", scope.broker.bootstrap
    return scope.ask("dead-letters", command, *where, *more, code=code)


def sent_again(scope: Scope) -> list[str]:
    return sorted(record.headers[FROM] for record in scope.records("web") if FROM in record.headers)


def test_a_mended_letter_is_an_event_like_any_other(broker: Broker, scoped: Maker, tmp_path: Path) -> None:
    scope = scoped(broker)
    program = scope.run()
    scope.send(consent(0, user="ann"), ADDED[:-1], b"nonsense", event("page", 60, anonymous="clock"))
    scope.await_records("dead-letters", 2, program)
    (tmp_path / "mend.py").write_text(MEND)
    result = json.loads(
        letters(
            scope, "replay", "--transform", tmp_path / "mend.py", "--reason", "not-json", "--yes", "--json"
        )
    )
    assert result == {"to_send": 2, "sent": 1, "left_out": 1}
    (trigger,) = scope.await_records("triggers", 1, program)
    assert trigger.body["key"] == "k1"
    (again,) = [record for record in scope.records("web") if FROM in record.headers]
    assert (again.raw, again.partition, again.key) == (ADDED, 0, "ann")
    assert again.headers[FROM] == f"{scope.topic('web')}/0/1"
    assert program.stop() == 0
    found = json.loads(letters(scope, "list", "--all", "--json"))
    assert [(group["open"], group["replayed"]) for group in found["groups"]] == [(1, 1)]
    assert {letter["original_text"]: letter["replayed"] for letter in found["letters"]} == {
        ADDED[:-1].decode(): True, "nonsense": False,
    }  # fmt: skip


def test_no_letter_is_sent_again_twice(broker: Broker, scoped: Maker) -> None:
    scope = scoped(broker)
    write_letters(scope, 20)

    def replay(**which: Any) -> tuple[int, int]:
        return deadletters.replay(scope.book, broker.bootstrap, Which(**which))

    assert replay(reason="not-json") == (4, 0)
    assert replay(place=(f"{scope.topic('web')}/3/7",)) == (1, 0)
    assert replay() == (15, 0)
    assert replay() == (0, 0)
    assert sent_again(scope) == sorted(f"{scope.topic('web')}/{i % 4}/{i}" for i in range(20))


def test_nothing_is_sent_before_somebody_has_said_yes(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    write_letters(scope, 20)
    assert "4 would be sent again" in letters(scope, "replay", "--reason", "not-json", "--dry-run")
    assert "Aborted" in letters(scope, "replay", "--reason", "not-json", code=1)
    assert sent_again(scope) == []


def test_the_list_counts_by_reason_and_shows_the_newest(mock: Broker, scoped: Maker) -> None:
    scope = scoped(mock)
    assert deadletters.find(scope.book, mock.bootstrap, Which(), 9) == ([], [])
    write_letters(scope, 20)
    said = letters(scope, "list", "--limit", 2, "--since", "1h")
    assert said.count("bad [") == 2
    assert "16" in next(line for line in said.splitlines() if "wrong-type" in line)
    late = Which(since=1 << 50)
    assert deadletters.find(scope.book, mock.bootstrap, late, 9) == ([], [])
    groups, newest = deadletters.find(scope.book, mock.bootstrap, Which("not-json", "event"), 9)
    assert [(group.reason, group.open) for group in groups] == [("not-json", 4)]
    assert {letter.get("original_text", letter.get("original")) for letter in newest} == {
        "/zA=", "original 5", "original 10", "/zE1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def transform(original, letter): return 7", "gave int, not bytes or None"),
        ("def transform(original, letter): return original.nothing", "AttributeError"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def other(): pass", "has no function transform"),
    ],
)
def test_a_transform_that_cannot_be_used_sends_nothing(
    mock: Broker, scoped: Maker, tmp_path: Path, text: str, said: str
) -> None:
    scope = scoped(mock)
    write_letters(scope, 2)
    (tmp_path / "mend.py").write_text(text)
    with pytest.raises(BadTransform, match=said):
        deadletters.replay(
            scope.book, mock.bootstrap, Which(), deadletters.load_transform(tmp_path / "mend.py")
        )
    assert sent_again(scope) == []


def test_a_replay_that_is_killed_is_gone_on_with_and_sends_nothing_twice(
    kafka: RealBroker, scoped: Maker
) -> None:
    scope = scoped(kafka)
    write_letters(scope, LETTERS)
    arguments = "dead-letters", "replay", "--yes", "--config", scope.config, "--brokers", kafka.bootstrap
    first = scope.oncue(*arguments)
    until(lambda: scope.records("control") or not first.running, "the first notes")
    first.process.send_signal(signal.SIGKILL)
    first.wait()
    begun = len(sent_again(scope))
    assert begun < LETTERS, "killed too late to show anything"
    assert f"{LETTERS - begun} sent again" in scope.ask(*arguments)
    assert sent_again(scope) == sorted(f"{scope.topic('web')}/{i % 4}/{i}" for i in range(LETTERS))
