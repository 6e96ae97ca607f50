"""The cuts that a live run has written down, read one after the other."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from confluent_kafka import TopicPartition

from flows import kafka
from flows.kafka import KafkaTrouble, Place
from flows.orderlog import Written, decoded
from flows.plan import Cuts
from operators.cuts import Cut, Opened

TOGETHER = 2000


class Recorded:
    """`next` gives the valid cuts of an `order` topic from offset `start` to before `end`.

    `incarnation` is the offset of the marker that counts at `start`, -1 when there is none.
    """

    def __init__(self, brokers: str, topic: str, start: int, end: int, incarnation: int = -1) -> None:
        self._topic = topic
        self.position = start
        self.end = end
        self.incarnation = incarnation
        self.marker = None if incarnation < 0 else _marker(brokers, topic, incarnation)
        self._read: deque[Written] = deque()
        self._client = kafka.consumer(brokers, "oncue-recorded")
        self._client.assign([TopicPartition(topic, 0, start)])

    def peek(self, wait: float = 0.0) -> Written | None:
        """The next valid cut; None when none has come within `wait` seconds, or at the end."""
        if not self._read and not self.done:
            self._fetch(wait)
        return self._read[0] if self._read else None

    def pop(self) -> Written:
        return self._read.popleft()

    @property
    def done(self) -> bool:
        return self.position >= self.end and not self._read

    def close(self) -> None:
        self._client.close()

    def _fetch(self, wait: float) -> None:
        for message in kafka.take(self._client, TOGETHER, wait):
            error = message.error()
            if error is not None:
                if kafka.gone(error):
                    raise KafkaTrouble(
                        f"{self._topic} does not hold offset {self.position} any more: its retention has "
                        "removed cuts. Use --order event-time, or begin later with --from"
                    )
                if not kafka.is_end(error) and not kafka.passing(error):
                    raise KafkaTrouble(f"cannot read {self._topic}: {error.str()}")
                continue
            offset = message.offset()
            if offset >= self.end:
                self.position = self.end
                return
            record = decoded(message)
            if isinstance(record, Opened):
                self.incarnation, self.marker = offset, record
            elif record.incarnation == self.incarnation and self.marker is not None:
                self._read.append(Written(offset, record, self.marker))
            self.position = offset + 1


def behind(brokers: str, topic: str, repeated: int, end: int) -> Recorded:
    """Goes on behind the cut at offset `repeated`."""
    cut = _at(brokers, topic, repeated)
    if not isinstance(cut, Cut):
        raise KafkaTrouble(f"{topic}/0/{repeated} is not the cut that was repeated last; was it made anew?")
    return Recorded(brokers, topic, repeated + 1, end, cut.incarnation)


class Survey(NamedTuple):
    """What the cuts of a range let in. `starts` and `ends` by partition, in the order in which the markers
    name them; `last` is the number of the last cut, `made_by` the hashes of the playbooks."""

    cuts: Cuts
    starts: dict[Place, int]
    ends: dict[Place, int]
    last: int
    made_by: set[str]


def survey(brokers: str, topic: str, first: int | None, last: int | None, offsets: tuple[int, int]) -> Survey:
    """Look through an order: from behind cut number `first` to cut `last`, where they are given, and only
    at what is written from `offsets[0]` to before `offsets[1]`. Raises KafkaTrouble."""
    low, high = kafka.extent(brokers, (topic, 0))
    if low > 0:
        raise KafkaTrouble(
            f"{topic} begins at offset {low}: its retention has removed cuts, so what they let in is not "
            "known. Use --order event-time with times or offsets"
        )
    reader = Recorded(brokers, topic, 0, min(high, offsets[1]))
    starts: dict[Place, int] = {}
    ends: dict[Place, int] = {}
    begin, incarnation, number, stop = offsets[0], -1, 0, 0
    made_by: set[str] = set()
    try:
        while not reader.done:
            written = reader.peek(0.1)
            if written is None:
                continue
            reader.pop()
            cut, marker = written.cut, written.marker
            if last is not None and cut.number > last:
                break
            before = written.offset < offsets[0] or (first is not None and cut.number <= first)
            for where, partition, at in marker.partitions:
                ends.setdefault((where, partition), at)
                starts.setdefault((where, partition), at)
            for i, end in cut.ends.items():
                place = marker.partitions[i][:2]
                if end < ends[place]:
                    raise KafkaTrouble(
                        f"cut {cut.number} of {topic} goes back on {kafka.show(place)}: the topic was made "
                        f"anew. Begin behind that with --from cut:{cut.number}"
                    )
                ends[place] = end
            number, stop = cut.number, written.offset + 1
            if before:
                starts, begin, incarnation = dict(ends), written.offset + 1, cut.incarnation
            else:
                made_by.add(marker.playbook)
    finally:
        reader.close()
    return Survey(Cuts(begin, max(begin, stop), incarnation), starts, ends, number, made_by)


def _marker(brokers: str, topic: str, offset: int) -> Opened:
    found = _at(brokers, topic, offset)
    if not isinstance(found, Opened):
        raise KafkaTrouble(f"{topic}/0/{offset} is no marker of an incarnation; was the topic made anew?")
    return found


def _at(brokers: str, topic: str, offset: int) -> Any:
    client = kafka.consumer(brokers, "oncue-recorded")
    try:
        client.assign([TopicPartition(topic, 0, offset)])
        while True:
            for message in kafka.take(client, 1, 1.0):
                error = message.error()
                if error is None:
                    return decoded(message) if message.offset() == offset else None
                if not kafka.passing(error):
                    raise KafkaTrouble(f"{topic} does not hold offset {offset} any more: {error.str()}")
    finally:
        client.close()
