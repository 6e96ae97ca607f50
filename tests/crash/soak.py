"""The long version: make soak EVENTS=2000000 KILLS=200

Between the kills all processes are stopped for 30 s, the broker for 60 s, the broker is killed, the disk is
full; `--faults` chooses of these. Runs a broker of its own, says on standard error how far it is, prints what
came of it as JSON, and writes bench/results/soak.json. Ends with 1 when anything is not exact.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests.brokers import RealBroker
from tests.crash.faults import FAULTS, faults
from tests.crash.harness import Scope, Story, kill_again_and_again
from tests.crash.traffic import MS_PER_EVENT, SOURCES, traffic
from tests.crash.verify import verify
from tests.program import ROOT

RESULT = ROOT / "bench" / "results" / "soak.json"


def soak(
    events: int, kills: int, workers: int, partitions: int, seed: int, wanted: Collection[str], lives: float
) -> dict[str, Any]:
    messages = traffic(events, seed, partitions)
    settings = {"cut_events": "1000", "examples_every": f"{max(4000, events * MS_PER_EVENT // 12)}ms"}
    began = time.monotonic()
    told_of: list[str] = []

    def tell(story: Story) -> None:
        for surprise in story.surprises[len(told_of) :]:
            told_of.append(surprise)
            print(f"nobody asked for it to end: {surprise}", file=sys.stderr)
        minutes, seconds = divmod(round(time.monotonic() - began), 60)
        faulty = "".join(f", {name} {count}" for name, count in story.faults.items())
        print(
            f"{minutes:3d}:{seconds:02d}  {story.kills} of {kills} kills{faulty}", file=sys.stderr, flush=True
        )

    with (
        RealBroker(killed=True) as broker,
        tempfile.TemporaryDirectory(prefix="oncue-soak-") as folder,
        Scope(broker.bootstrap, Path(folder), seed, partitions, **settings) as scope,
    ):
        what = [it for it in faults(broker, stopped=30, away=60) if it.name in wanted]
        story = kill_again_and_again(
            scope, messages, kills, seed, workers, pace=3.0, life=1.5, faults=what, lives=lives, abreast=True,
            tell=tell,
        )  # fmt: skip
        del messages
        print(f"comparing, after {story.seconds:.0f} s", file=sys.stderr, flush=True)
        began = time.monotonic()
        found = verify(scope.book, scope.brokers, scope.state)
        comparing = time.monotonic() - began
    told = found.as_dict()
    return {
        "kills": story.kills,
        "kills_before_the_first_cut": story.rushed,
        "faults": dict(story.faults),
        "starts": story.starts,
        "workers": workers,
        "topics": len(SOURCES),
        "partitions_each": partitions,
        "seed": seed,
        "seconds": round(story.seconds, 1),
        "seconds_comparing": round(comparing, 1),
        "peak_mb_comparing": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        **{name: value for name, value in told.items() if name != "problems"},
        "surprises": story.surprises,
        "problems": [problem[:2000] for problem in found.problems],
    }


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--events", type=int, default=500_000)
    asked.add_argument("--kills", type=int, default=50)
    asked.add_argument("--workers", type=int, default=2)
    asked.add_argument("--partitions", type=int, default=6, help="of each of the three topics")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument(
        "--faults", nargs="*", choices=FAULTS, default=FAULTS, help="none of them: kill -9 and nothing else"
    )
    asked.add_argument("--lives", type=float, default=6, help="in one of so many something else happens")
    given = asked.parse_args()
    result = soak(
        given.events, given.kills, given.workers, given.partitions, given.seed, given.faults, given.lives
    )
    text = json.dumps(result, indent=2)
    print(text)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text + "\n")
    return 1 if result["problems"] or result["surprises"] or result["kills"] < given.kills - 1 else 0


if __name__ == "__main__":
    sys.exit(main())
