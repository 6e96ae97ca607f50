"""docs/contracts.md: what it shows is true, and its consumer works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from tests.brokers import Broker
from tests.program import PATIENCE, until
from tests.schemas import documented
from tests.schemas.published import check_output

SHOWN = documented.shown(documented.PAGE.read_text())
NOW = documented.parts()
EXAMPLES = documented.examples()


@pytest.mark.parametrize("name", sorted(NOW.keys() - EXAMPLES.keys()))
def test_the_page_says_what_the_code_says(name: str) -> None:
    assert SHOWN[name] == NOW[name].strip("\n"), "run: python -m tests.schemas.documented"


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_on_the_page_is_valid_and_looks_like_what_is_sent_now(name: str) -> None:
    there = json.loads(SHOWN[name].removeprefix("```json\n").removesuffix("\n```"))
    for record in (there, EXAMPLES[name]):
        assert record["headers"]["ce_type"].split(".")[1] == name
        check_output(record["headers"], record["value"])
    assert outline(there) == outline(EXAMPLES[name]), "run: python -m tests.schemas.documented"


def outline(record: dict[str, Any]) -> Any:
    return record["topic"], list(record["headers"]), list(record["value"])


def test_the_consumer_acts_on_triggers_and_on_cancellations(
    broker: Broker, scope: str, tmp_path: Path
) -> None:
    topic = f"{scope}.triggers"
    broker.create(topic)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": scope})
    producer.init_transactions(PATIENCE)

    def send(names: list[str], commit: bool = True) -> None:
        producer.begin_transaction()
        for name in names:
            record = EXAMPLES[name]
            headers = [(key, value.encode()) for key, value in record["headers"].items()]
            producer.produce(topic, json.dumps(record["value"]), record["key"], headers=headers)
        producer.commit_transaction(PATIENCE) if commit else producer.abort_transaction(PATIENCE)

    send(["trigger", "trigger-cancelled"])
    if broker.real:
        send(["trigger"], commit=False)
    send(["trigger"])
    log = tmp_path / "said"
    with log.open("wb") as out:
        program = subprocess.Popen(
            [sys.executable, str(documented.CONSUMER), broker.bootstrap, topic], stdout=out, stderr=out
        )
    try:
        until(lambda: log.read_text().count("\n") >= 3, f"three lines, not {log.read_text()}")
    finally:
        program.kill()
        program.wait()
    trigger = EXAMPLES["trigger"]
    id, customer = trigger["headers"]["ce_id"], trigger["value"]["customer"]
    gone = EXAMPLES["trigger-cancelled"]["value"]["reason"]
    send_it = f"send {id} by email to {customer}"
    assert log.read_text().splitlines() == [
        send_it, f"do not send {id} because {gone}", send_it,
    ]  # fmt: skip
