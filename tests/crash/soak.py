"""The long version: make soak EVENTS=2000000 KILLS=200

Between the kills all processes are stopped for 30 s, the broker for 60 s, the broker is killed, the disk is
full. Runs a broker of its own, prints what came of it as JSON, and writes bench/results/soak.json. Ends with
1 when anything is not exact.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.brokers import RealBroker
from tests.crash.faults import faults
from tests.crash.harness import Scope, kill_again_and_again
from tests.crash.traffic import SOURCES, traffic
from tests.crash.verify import verify
from tests.program import ROOT

RESULT = ROOT / "bench" / "results" / "soak.json"


def soak(events: int, kills: int, workers: int, partitions: int, seed: int, faulty: bool) -> dict[str, Any]:
    messages = traffic(events, seed, partitions)
    with (
        RealBroker() as broker,
        tempfile.TemporaryDirectory(prefix="oncue-soak-") as folder,
        Scope(broker.bootstrap, Path(folder), seed, partitions) as scope,
    ):
        what = faults(broker, stopped=30, away=60) if faulty else ()
        story = kill_again_and_again(scope, messages, kills, seed, workers, pace=3.0, life=1.5, faults=what)
        del messages
        found = verify(scope.book, scope.brokers, scope.state)
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
    asked.add_argument("--no-faults", action="store_true", help="kill -9 and nothing else")
    given = asked.parse_args()
    result = soak(given.events, given.kills, given.workers, given.partitions, given.seed, not given.no_faults)
    text = json.dumps(result, indent=2)
    print(text)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text + "\n")
    return 1 if result["problems"] or result["surprises"] or result["kills"] < given.kills - 1 else 0


if __name__ == "__main__":
    sys.exit(main())
