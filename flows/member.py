"""One worker process of a supervised cluster; `flows/supervise.py` starts it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from flows import replay
from flows.supervise import follow_parent
from flows.worker import open_run, work


def main() -> int:
    config, brokers, state, on_gap, addresses, index, rate = sys.argv[1:]
    threading.Thread(target=follow_parent, daemon=True).start()
    run = replay.take_up(open_run(Path(config), brokers, Path(state), on_gap), int(rate))
    return work(run, addresses.split(";"), int(index))


if __name__ == "__main__":
    sys.exit(main())
