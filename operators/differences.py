"""Why two runs over the same input decided differently: what came out of order in one of them.

Everything that is decided about somebody follows from the order of their events and from how far time had
come at each. So a difference has one of these causes, or none that is known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import NamedTuple

from schemas.moments import rfc3339

LATE_LIVE = "late in the live run"
LATE_REPLAY = "late in the replay"
IDLE = "idle advance"
AHEAD = "ahead of time"
LATE_REFERENCE = "late reference data"
MODEL = "another model"
MENDED = "mended dead letter"
PLAYBOOK = "another playbook"
END = "end of the range"
BEGINNING = "before the range"
NONE = "unexplained"
NEVER = 1 << 62


class Row(NamedTuple):
    """An event of the people in question: where it is, when it happened (ms), and whether it has several
    identifiers, so that it may have merged two customers."""

    place: str
    offset: int
    at: int
    links: bool = False


class Late(NamedTuple):
    """An event that came when others of the same people that happened later, or time itself, were there
    already: in cut `cut`, before which time had reached `reached` (ms)."""

    place: str
    offset: int
    at: int
    cut: int
    reached: int
    idle: bool


class Serving(NamedTuple):
    """A model scores what is as of later than `after` (ms), until the next one does."""

    after: int
    version: int


class Order:
    """The cuts of a run: how far each let which partition in, and how far time had come.

    `add` takes them in order; `highest` is told the newest event time of each partition's share.
    """

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.watermarks: list[int] = []
        self._ends: dict[str, list[int]] = {}
        self._cuts: dict[str, list[int]] = {}
        self._highest: dict[str, list[int]] = {}

    def add(self, number: int, watermark: int, ends: dict[str, int]) -> None:
        index = len(self.numbers)
        self.numbers.append(number)
        self.watermarks.append(watermark)
        for place, end in ends.items():
            self._ends.setdefault(place, []).append(end)
            self._cuts.setdefault(place, []).append(index)
            self._highest.setdefault(place, []).append(-1)

    def up_to(self, index: int) -> Order:
        """Only the cuts before `index`."""
        found = Order()
        for place, cuts in self._cuts.items():
            shares = bisect_left(cuts, index)
            found._cuts[place], found._ends[place] = cuts[:shares], self._ends[place][:shares]
            found._highest[place] = self._highest[place][:shares]
        found.numbers, found.watermarks = self.numbers[:index], self.watermarks[:index]
        return found

    def reaches(self, index: int, starts: dict[str, int]) -> bool:
        """Whether everything before `starts` was in with the cuts before `index`."""
        return all(self._before(place, index) >= start for place, start in starts.items())

    def exceeds(self, index: int, ends: dict[str, int]) -> bool:
        """Whether more than up to `ends` was in with the cut at `index`."""
        return any(self._before(place, index + 1) > end for place, end in ends.items())

    def _before(self, place: str, index: int) -> int:
        """How far a partition was let in by the cuts before `index`."""
        shares = bisect_left(self._cuts.get(place, ()), index)
        return self._ends[place][shares - 1] if shares else 0

    def cut_of(self, place: str, offset: int) -> int | None:
        """The index of the cut that let a record in."""
        ends = self._ends.get(place, ())
        at = bisect_right(ends, offset)
        return self._cuts[place][at] if at < len(ends) else None

    def saw(self, place: str, offset: int, at: int) -> None:
        ends = self._ends.get(place, ())
        share = bisect_right(ends, offset)
        if share < len(ends):
            row = self._highest[place]
            row[share] = max(row[share], at)

    def newest(self, cut: int) -> int:
        """The newest event (ms) that was let in before a cut."""
        found = -1
        for place, cuts in self._cuts.items():
            found = max(found, max(self._highest[place][: bisect_left(cuts, cut)], default=-1))
        return found

    def served(self, place: str, models: Iterable[tuple[int, int]]) -> list[Serving]:
        """From when on which model scored, as `operators/scores.py` takes them. `models`: offset and version,
        in the partition `place`."""
        found: list[Serving] = []
        for offset, version in models:
            cut = self.cut_of(place, offset)
            if cut is not None and (not found or version > found[-1].version):
                found.append(Serving(max(self._reached(cut), self.newest(cut)), version))
        return found

    def idle(self, moment: int) -> bool:
        """Whether time passed `moment` because a partition was proven idle: not all had such an event."""
        index = bisect_left(self.watermarks, moment)
        if index == len(self.watermarks):
            return False
        for place, cuts in self._cuts.items():
            shares = bisect_right(cuts, index)
            if max(self._highest[place][:shares], default=-1) < self.watermarks[index]:
                return True
        return False

    def decided(self, row: Row) -> int | None:
        """What is due by this moment is decided before the event is applied, and a merge by it is decided as
        of it: when it happened, unless time had not come so far with its cut, or was farther already."""
        cut = self.cut_of(row.place, row.offset)
        if cut is None:
            return None
        return max(self._reached(cut), min(row.at, self.watermarks[cut]))

    def _reached(self, cut: int) -> int:
        """How far time had come before a cut."""
        return self.watermarks[cut - 1] if cut else -1

    def late(self, rows: Iterable[Row]) -> list[Late]:
        """Those of the people's events that came out of order."""
        known = ((self.cut_of(row.place, row.offset), row) for row in rows)
        placed = sorted((cut, row.at, row) for cut, row in known if cut is not None)
        found = []
        newest = top = -1
        now = -1
        for cut, at, row in placed:
            if cut != now:
                now, newest = cut, top
            before = self._reached(cut)
            if at < newest or at <= before:
                idle = at <= before and self.idle(at)
                found.append(Late(row.place, row.offset, at, self.numbers[cut], max(before, newest), idle))
            top = max(top, at)
        return found


def apart(live: list[Serving], replay: list[Serving]) -> list[tuple[int, int]]:
    """When another model scored in the one run than in the other: (low, high], in ms.

    >>> apart([Serving(10, 1), Serving(30, 2)], [Serving(10, 1), Serving(20, 2)])
    [(20, 30)]
    >>> apart([], [])
    []
    """
    moments = sorted({it.after for it in (*live, *replay)})
    return [
        (low, high)
        for low, high in zip(moments, [*moments, NEVER][1:], strict=True)
        if _version(live, low + 1) != _version(replay, low + 1)
    ]


def _version(served: list[Serving], at: int) -> int:
    return next((it.version for it in reversed(served) if at > it.after), 0)


def scored_apart(
    rows: Iterable[Row], every: int, throttle: int, until: int, when: list[tuple[int, int]]
) -> bool:
    """Whether the people with the events `rows` may have been scored at a moment in one of `when` and not
    later than `until` (ms): up to `throttle` after an event of theirs, or again `every` so long
    after that (0: never by themselves)."""
    for row in rows:
        for low, high in when:
            again = max(0, -((row.at + throttle - low - 1) // every)) if every else 0
            moment = row.at + again * every
            if low < moment + throttle and moment <= min(high, until):
                return True
    return False


def moment(ms: int) -> str:
    """
    >>> moment(1_772_445_603_077), moment(-1)
    ('2026-03-02T10:00:03.077Z', 'the beginning')
    """
    return rfc3339(ms) if ms >= 0 else "the beginning"


class Cause(NamedTuple):
    """`what` is one of the constants above, `detail` for people."""

    what: str
    detail: str


def cause(rows: list[Row], live: Order, replay: Order, moments: Iterable[int] = ()) -> Cause | None:
    """What of the people's events came out of order first, in the live run if there is one there. `moments`
    are those (ms) of what was decided differently."""
    for order, what in ((live, LATE_LIVE), (replay, LATE_REPLAY)):
        late = order.late(rows)
        if late:
            first = min(late, key=lambda it: it.cut)
            detail = (
                f"{first.place}/{first.offset} happened at {moment(first.at)} and came with cut {first.cut}, "
                f"when time had reached {moment(first.reached)}"
            )
            return Cause(IDLE if first.idle and what == LATE_LIVE else what, detail)
    for row in rows:
        one, other = live.decided(row), replay.decided(row)
        if one is None or other is None or one == other:
            continue
        if row.links or any(min(one, other) < moment <= max(one, other) for moment in moments):
            detail = (
                f"{row.place}/{row.offset} of {moment(row.at)} came when time had only come to {moment(one)} "
                f"live, and to {moment(other)} in the replay: not all partitions were that far"
            )
            return Cause(AHEAD, detail)
    return None
