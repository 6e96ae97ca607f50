"""Events that are too old to be kept one by one, folded leaf by leaf into a summary that counts on.

A summary is the record of a leaf as of a moment, without what no window reaches from there, and what linked
the leaf with others. Records merge as those of customers do; so the summaries of somebody's leaves and the
events since make what all of their events would have made. What was decided is not in it.

A shard goes through its leaves again and again, each time when another part of what is to be kept has
passed, and only so far with every cut. Of a leaf it takes what counts as of the moment (`operators/asof.py`);
what came too late for that is taken the next time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from operators import dedupe, features, headers, history, records
from operators.headers import BadHeader
from operators.history import BEHIND_EVENTS, EVENTS, Change, Happened
from operators.identifiers import Identifiers
from operators.parts import Core
from operators.playbook import Playbook
from operators.rebuild import Counter
from operators.records import Kept, Record
from operators.reference import Table

SUMMARIES = b"s"
PER_CUT = 64  # events and leaves of a shard, beside as many as came; see docs/history.md for what that takes
SWEEPS = 16  # in the time that events are kept
AT_ONCE = 5_000  # events of one leaf

_pack = msgspec.msgpack.Encoder().encode


class Link(msgspec.Struct, array_like=True, order=True, gc=False):
    """That an event showed these identifiers together, strongest first; in recorded order."""

    cut: int
    at: int
    topic: str
    partition: int
    offset: int
    keys: tuple[str, ...]

    @property
    def event(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Summary(msgspec.Struct, array_like=True, gc=False):
    """Of a leaf: the encoded record, and the first link with the same identifiers each."""

    record: bytes
    links: list[Link]


class Sweep(msgspec.Struct, array_like=True):
    """How far a shard is. All that counts as of `until` (ms) is folded, once it is `over`."""

    until: int = -1
    cursor: bytes = EVENTS
    over: bool = True


_unpack = msgspec.msgpack.Decoder(Summary).decode


def summary(table: history.Table, leaf: str) -> Summary | None:
    """What was folded of a leaf."""
    raw = table.get(SUMMARIES + leaf.encode())
    return None if raw is None else _unpack(raw)


def beginning(customer: str, folded: Iterable[Summary], kept: Kept) -> Record:
    """The record of a customer with these leaves before the first of the events that are left."""
    found = Record(customer)
    for one in folded:
        records.merge(found, records.decode(customer, one.record), kept)
    return found


class Linking:
    """What events show of who is who, by a playbook's identifiers."""

    def __init__(self, playbook: Playbook) -> None:
        self._identifiers = Identifiers(playbook.policies, playbook.region)

    def of(self, it: Happened) -> Link:
        try:
            keys = headers.read(it.raw, it.arrived, self._identifiers)[1]
        except BadHeader:  # the identifiers are others now
            keys = ()
        return Link(*it[:5], keys if it.leaf in keys else (it.leaf, *keys))


class Folding:
    """One shard's part. `known`: the reference data there is."""

    def __init__(self, playbook: Playbook, progress: Sweep, known: Table) -> None:
        self.progress = progress
        self._keep = playbook.keep
        self._window = playbook.times.dedupe
        self._plan = playbook.plan
        self._counter = Counter(playbook, known)
        self._linking = Linking(playbook)

    def step(
        self,
        table: history.Table,
        write: Callable[[Iterable[Change]], None],
        watermark: int,
        came: int,
    ) -> bool:
        """The next few events of `table`, now that time has come to `watermark` (ms) with a cut that brought
        the shard `came` of them. Whether there was anything to do."""
        if self.progress.over:
            until = watermark - self._keep
            if not self._keep or until <= self.progress.until + self._keep // SWEEPS:
                return False
            self.progress = Sweep(until, EVENTS, over=False)
        left = max(PER_CUT, 2 * came)
        while left > 0 and not self.progress.over:
            rows, looked_at = self._next(table, left)
            left -= looked_at
            if rows:
                write(self._folded(table, rows))
        return True

    def _next(self, table: history.Table, most: int) -> tuple[dict[bytes, Happened], int]:
        """What is to be folded of the next leaf, by key, or `most` of it; how many were looked at."""
        progress = self.progress
        rows: dict[bytes, Happened] = {}
        leaf, newest, count = "", -1, 0
        for key, value in table.scan(progress.cursor, BEHIND_EVENTS):
            its, at = history.leaf_and_time(key)
            # What happened at one moment stays together, so that repetitions are noticed.
            full = count >= most and at != newest
            if count and (its != leaf or full or count >= AT_ONCE):
                progress.cursor = key
                return rows, count
            if at > progress.until:
                progress.cursor = history.behind(its)
                return rows, max(1, count)
            leaf, newest, count = its, at, count + 1
            one = history.read(key, value)
            if one.before < progress.until:
                rows[key] = one
        progress.over = True
        return rows, max(1, count)

    def _folded(self, table: history.Table, rows: dict[bytes, Happened]) -> Iterator[Change]:
        found = history.recorded(rows.values())
        leaf = found[0].leaf
        old = summary(table, leaf)
        record = self._counter.record(leaf, found, None if old is None else records.decode(leaf, old.record))
        self._trim(record)
        links = {link.keys: link for link in old.links} if old is not None else {}
        for link in map(self._linking.of, found):
            first = links.get(link.keys)
            if link < first if first is not None else len(link.keys) > 1 or not links:
                links[link.keys] = link
        yield from ((key, None) for key in rows)
        yield SUMMARIES + leaf.encode(), _pack(Summary(record.encode(), sorted(links.values())))

    def _trim(self, record: Record) -> None:
        """Without what cannot be asked for as of `until` or later."""
        until = self.progress.until
        dedupe.forget(record.part("seen"), until, self._window)
        if record.has("m") and not features.forget(record.part("m"), self._plan, until):
            record.drop("m")
        core: Core = record.part("core")
        core.alarms, core.cooldowns = {}, {}
