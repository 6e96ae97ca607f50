"""Replay equals live: what a run decided under load, killed again and again, is decided again."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import plan as planning
from operators import differences, records
from operators.records import Record
from schemas import topics
from state import reading
from tests.brokers import RealBroker
from tests.crash.harness import Scope, kill_again_and_again
from tests.crash.traffic import traffic
from tests.crash.verify import read
from tests.program import Program, until


@pytest.fixture
def shop(kafka: RealBroker, tmp_path: Path) -> Iterator[Scope]:
    with Scope(kafka.bootstrap, tmp_path, seed=11) as scope:
        yield scope


def replay(scope: Scope, name: str, *more: object) -> Program:
    state = scope.state.parent / name
    run = Program(
        state.with_suffix(".log"), "replay", "--config", scope.config, "--brokers", scope.brokers,
        "--state", state, "--order", name, *more,
    )  # fmt: skip
    scope.runs.append(run)
    return run


def report(run: Program) -> dict[str, Any]:
    """What `--compare --json` said, behind the lines about progress."""
    run.wait(180)
    assert "\n{" in f"\n{run.said}", run.said
    found: dict[str, Any] = json.loads(run.said[run.said.index("{") :])
    return found


def profiles(scope: Scope, space: str) -> dict[bytes, bytes]:
    """The last of each customer, which is what the compacted topic is for."""
    log = read(scope.brokers, [topics.output(space, topics.PROFILES)])
    return {row.key: row.value for rows in log.values() for row in rows}


def customers(scope: Scope, state: Path) -> dict[str, dict[str, Any]]:
    """Every record of the newest checkpoints; parts that hold nothing are left out."""
    nothing = Record("")
    found = {}
    for shard in range(scope.book.engine.shards):
        with reading.newest(state / scope.name / f"shard-{shard:02d}") as database:
            assert database is not None
            for key, value in database.items():
                if key[:1] == b"c":
                    record = records.decode(key[1:].decode(), value)
                    parts = {name: record.part(name) for name in record.names()}
                    found[record.id] = {name: it for name, it in parts.items() if it != nothing.part(name)}
    return found


def test_a_replay_repeats_what_a_killed_run_decided_and_explains_what_event_time_changes(shop: Scope) -> None:
    story = kill_again_and_again(shop, traffic(4_000, seed=11), kills=4, seed=11)
    assert story.kills >= 3
    assert story.surprises == []

    run = replay(shop, planning.LIVE, "--rate", 2000)
    state = shop.state.parent / planning.LIVE
    until(lambda: any(state.glob("*/resolve/ckpt-*")) or not run.running, "a checkpoint")
    assert run.running, run.said
    run.kill()  # a replay is killed like any other run
    run = replay(shop, planning.LIVE, "--compare", "--json")
    repeated = report(run)
    assert run.wait() == 0
    assert (repeated["differences"], repeated["unexplained"]) == ([], 0)
    for name, least in (("triggers", 100), ("decisions", 100), ("identities", 100), ("dead-letters", 20)):
        row = repeated["compared"][name]
        assert row["live"] == row["replay"] == row["same"] > least
    assert profiles(shop, repeated["space"]) == profiles(shop, shop.name)
    known = customers(shop, shop.state)
    assert len(known) > 300
    assert customers(shop, state) == known
    shutil.rmtree(state)

    run = replay(shop, planning.EVENT_TIME, "--compare", "--json")
    clean = report(run)
    assert clean["unexplained"] == 0, clean["differences"][:5]
    assert run.wait() == 0
    possible = {
        differences.LATE_LIVE, differences.LATE_REPLAY, differences.IDLE, differences.AHEAD,
        differences.LATE_REFERENCE, differences.END, differences.MODEL,
    }  # fmt: skip
    assert set(clean["causes"]) <= possible
    scored = {name for name, rule in shop.book.rules.items() if rule.of}  # other models score there
    lost = [it for it in clean["differences"] if it["topic"] == "triggers" and it["what"] != "new"]
    assert sum(it["rule"] not in scored for it in lost) < 0.1 * clean["compared"]["triggers"]["live"]
