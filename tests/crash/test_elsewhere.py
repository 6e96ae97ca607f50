"""State that is lost, damaged or on another machine: taken over from a backup or an older checkpoint, and
the result is what it would have been."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import checkpoints
from tests.brokers import RealBroker
from tests.crash.harness import Feed, Scope
from tests.crash.test_kill import exact
from tests.crash.traffic import traffic
from tests.program import PATIENCE, ROOT, Program, until


@pytest.fixture
def shop(kafka: RealBroker, tmp_path: Path) -> Iterator[Scope]:
    with Scope(kafka.bootstrap, tmp_path, seed=11, epoch="200ms") as scope:
        yield scope


def oncue(*arguments: object, code: int = 0) -> list[dict]:
    """Program a command with --json; the lines it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *map(str, arguments), "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def backed_up(shop: Scope, place: Path, beyond: int = 0) -> dict:
    """A backup of a later cut than `beyond`."""
    while (made := oncue("backup", place, "--state", shop.state)[0])["cut"] <= beyond:
        pass
    return made


def running(shop: Scope, *more: object, workers: int = 1) -> Program:
    run = shop.start(workers, more=more)
    until(lambda: not run.running or any(shop.state.glob("*/points/sequence")), "a durable point")
    assert run.running, run.said
    return run


def test_another_machine_takes_over_from_a_backup_made_while_events_came(shop: Scope, tmp_path: Path) -> None:
    messages = traffic(6_000, seed=11)
    with Feed(shop, messages, 2_000) as feed:
        feed.allow(0.2)
        run = running(shop)
        first = backed_up(shop, tmp_path / "place")
        feed.allow(0.4)
        second = backed_up(shop, tmp_path / "place", first["cut"])
        feed.allow(0.5)
        lost(shop, run)
        assert 0 < second["sent"] < second["files"]
        (restored,) = oncue("restore", tmp_path / "place", "--state", shop.state)
        assert (restored["name"], restored["cut"]) == (second["name"], second["cut"])

        place = tmp_path / "another"
        run = running(shop, "--backup", place, "--backup-every", "100ms", "--backup-keep", 3, workers=2)
        before = copied(run, place, beyond=second["cut"])
        feed.allow(0.8)
        after = copied(run, place, beyond=before)
        feed.allow(0.9)
        lost(shop, run)
        feed.rest()
    (restored,) = oncue("restore", place, "--state", shop.state)
    assert restored["cut"] >= after
    shop.finish()
    shop.complete()
    exact(shop, 6_000)


def copied(run: Program, place: Path, beyond: int) -> int:
    """The cut of a copy that the run made of itself, later than `beyond`."""

    def newest() -> int:
        cuts = [int(path.stem.rpartition("-")[2]) for path in place.glob("*/backups/*.json")]
        return max([cut for cut in cuts if cut > beyond], default=0)

    until(lambda: not run.running or newest(), f"a copy as of a cut after {beyond}")
    assert run.running, run.said
    return newest()


def lost(shop: Scope, run: Program) -> None:
    """Its machine is gone, after more cuts."""
    before = shop.ordered()
    until(lambda: not run.running or shop.ordered() > before + 3, "more cuts")
    run.end()
    shutil.rmtree(shop.state)


def test_a_damaged_checkpoint_is_found_and_undone_by_going_back_one(shop: Scope) -> None:
    messages = traffic(4_000, seed=12)
    shop.send(messages[:1_000])
    run = running(shop)
    for part in range(1, 4):  # so that each shard has several checkpoints
        before = shop.ordered()
        shop.send(messages[part * 1_000 : (part + 1) * 1_000])
        until(lambda: not run.running or shop.ordered() > before, "cuts")  # noqa: B023
    run.signal(signal.SIGTERM)
    assert run.wait() == 0, run.said
    newest = checkpoints(shop.state / shop.name / "shard-01")[-1][2]
    spoil(newest)
    found = oncue("state", "verify", "--state", shop.state, code=1)
    assert [it["path"] for it in found if it["problem"]] == [str(newest)]
    shop.finish()
    failed = shop.start()
    assert failed.wait() == 2
    assert str(newest) in failed.said
    assert "oncue state repair" in failed.said
    (done,) = [it for it in oncue("state", "repair", "--state", shop.state) if "removed" in it]
    assert done["removed"] == [str(newest)]
    assert 0 < done["cut"] < done["before"]
    shop.complete()
    exact(shop, 4_000)


def spoil(checkpoint: Path) -> None:
    """Damage what no other checkpoint shares."""
    own = [file for file in checkpoint.glob("MANIFEST-*") if os.stat(file).st_nlink == 1]
    own[0].write_bytes(own[0].read_bytes()[:-7] + b"\0" * 7)
