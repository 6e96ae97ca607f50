"""How far back a scope's history reaches, and what brings back what was before."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from flows import resume
from flows.kept import FOLDING, META, about, folder, sweep
from flows.settings import Run
from flows.telemetry import log
from operators.features import Feature
from schemas import moments
from state import points, reading
from state.reading import Table


class Reach(NamedTuple):
    """The moments (ms of event time) when history began and up to which it is folded; -1: from the very
    first event, and never."""

    begun: int
    folded: int

    @property
    def since(self) -> int:
        return max(self)


def of(shards: Iterable[Table]) -> Reach:
    """`shards`: the stores of history of all shards."""
    found = [(about(table.get(META)), sweep(table.get(FOLDING))) for table in shards]
    return Reach(
        max((it.watermark for it, _ in found if it is not None), default=-1),
        max((it.until for _, it in found), default=-1),
    )


def from_kafka(root: Path, at: int, keep: int) -> str:
    """The command that makes a state which knows the moment `at` (ms), of the playbook at `root`, which keeps
    events for `keep` ms (0: for ever)."""
    until = datetime.fromtimestamp((at + keep // 2) / 1000, UTC).isoformat(timespec="seconds")
    end = f" --to {until.replace('+00:00', 'Z')}" if keep else ""
    config = root / "playbook.yaml"
    return f"oncue replay --config {config} --brokers HOST:PORT --state NEWDIR --output none{end}"


def tell(run: Run) -> None:
    """Say which of the features that are to be filled from history reach farther back than it does."""
    book = run.playbook
    new = [names for one, names in book.later.items() if book.generations[one] < 0]
    known = points.read(run.directory.points, points.SEQUENCE)
    if not new or not known:
        return
    with ExitStack() as opened:
        stores = [
            opened.enter_context(reading.newest(run.directory.step(folder(shard))))
            for shard in range(book.engine.shards)
        ]
        reach = of(Table(store) for store in stores if store is not None)
    until = resume.decode(known[-1][1]).watermark
    short = [
        name
        for name in sorted(frozenset().union(*new))
        if isinstance(feature := book.features[name], Feature)
        and (not feature.window or until - feature.window < reach.since)
    ]
    if reach.since >= 0 and short:
        what = "is folded" if reach.folded >= reach.begun else "was not kept"
        log.say(
            f"{', '.join(short)}: counted from {moments.say(reach.since)} on, as far back as history "
            f"reaches; what was before {what}. To have it counted from Kafka as well: oncue replay --config "
            f"FILE --brokers {run.brokers} --state NEWDIR, with this playbook, and then oncue promote NEWDIR "
            f"--live {run.state} --brokers {run.brokers}",
            "WARN",
        )
