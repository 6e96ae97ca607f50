"""Where the sequencer goes on: what its snapshots hold, and what that means on the topics of today."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from flows import kafka
from flows.group import Group, Offsets
from flows.kafka import KafkaTrouble, Place
from flows.metadata import ANEW
from flows.settings import Run
from operators.cuts import Opened
from state.points import SEQUENCE, Points


class Resume(msgspec.Struct, array_like=True, frozen=True):
    """What a snapshot of the sequencer holds. Places are topic/partition. `repeated`: the offset of the cut
    of another order that was repeated last; `round`: how often a replay was continued after its end."""

    offsets: dict[str, int]
    highest: dict[str, int]
    number: int
    watermark: int
    position: int
    incarnation: int
    marker: Opened | None
    ended: bool
    ends_at: dict[str, int] | None
    finished: bool
    repeated: int = -1
    round: int = 0


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Resume).decode


def start(
    place: Place,
    resume: Resume | None,
    repeat: Iterable[Opened],
    ids: dict[str, str],
    bounds: tuple[int, int],
    on_gap: str,
    first: int | None = None,
) -> int:
    """Where to read a partition on: behind the state, else where the first incarnation that will be repeated
    began, else at `first`, by default the oldest record. Raises KafkaTrouble when records are gone and
    `on_gap` is `stop`.

    `repeat` are the markers of the cuts that will be repeated. A partition that an incarnation was the first
    to read has its place in that one's marker only, and so has a topic that was made anew before it.
    """
    name = kafka.show(place)
    candidates = [({kafka.show((t, p)): at for t, p, at in it.partitions}, it.ids) for it in repeat]
    if resume is not None:
        candidates.insert(0, (resume.offsets, resume.marker.ids if resume.marker else {}))
    same = [is_same(place[0], seen, ids) for _, seen in candidates]
    at = next((it[0][name] for it, one in zip(candidates, same, strict=True) if one and name in it[0]), None)
    anew = not all(same)
    low, high = bounds
    if at is None:
        at = first
    if anew and (at is None or on_gap == "stop"):
        return over_the_gap(on_gap, place, at, anew, low, high)
    if at is None:
        return low
    return at if low <= at <= high else over_the_gap(on_gap, place, at, anew, low, high)


def is_same(topic: str, before: dict[str, str], now: dict[str, str]) -> bool:
    """Whether a topic is the one it was, as far as that is known."""
    return topic not in before or topic not in now or before[topic] == now[topic]


def over_the_gap(on_gap: str, place: Place, at: int | None, anew: bool, low: int, high: int) -> int:
    """Where to read on instead of at `at`, which is not there. Raises KafkaTrouble unless allowed."""
    if on_gap == "earliest":
        return low
    if on_gap == "latest":
        return high
    if anew or at is None:
        what = ANEW
    elif at < low:
        what = f"it was trimmed: {low - at} records that were not read yet are gone"
    else:
        what = "it ends before that: the topic was made anew"
    where = f" should be read from offset {at}, but" if at is not None else ":"
    raise KafkaTrouble(
        f"{kafka.show(place)}{where} {what} (it holds {low} to {high}). Restore the records, or accept the "
        "gap with --on-gap earliest (read what is left) or --on-gap latest"
    )


def offsets_of(run: Run, resume: Resume) -> Offsets:
    """How far every input partition is worked off."""
    found = []
    for name, offset in resume.offsets.items():
        topic, _, partition = name.rpartition("/")
        if topic in run.inputs:
            found.append(((topic, int(partition)), offset))
    return found


def conclude(run: Run) -> None:
    """After a clean end of the dataflow: its last epoch is durable too."""
    if run.newest is None:
        return
    resume = decode(run.newest)
    if resume.number:
        Points(run.directory.points, SEQUENCE).keep(resume.number, run.newest)
    if run.plan is None:
        Group(run.brokers, f"oncue-{run.space}").finish(offsets_of(run, resume))
