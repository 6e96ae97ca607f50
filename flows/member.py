"""One worker process of a supervised cluster; `flows/supervise.py` starts it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from flows import copies, replay
from flows.start import open_run
from flows.supervise import follow_parent
from flows.telemetry.members import of_member
from flows.worker import work


def main() -> int:
    config, brokers, state, on_gap, addresses, index, rate = sys.argv[1:]
    threading.Thread(target=follow_parent, daemon=True).start()
    telemetry, beat = of_member()
    live = open_run(Path(config), brokers, Path(state), on_gap, telemetry, copies.of_member())
    return work(replay.take_up(live, int(rate)), addresses.split(";"), int(index), beat=beat)


if __name__ == "__main__":
    sys.exit(main())
