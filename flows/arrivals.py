"""What arrives on the partitions of a scope, as the front of its order takes it."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Consumer

from flows import kafka
from flows import resume as resuming
from flows.kafka import KafkaTrouble, Place
from flows.settings import Run
from operators import headers, reference
from operators.cuts import Cut
from operators.identifiers import Identifiers
from operators.order import BAD, COMMAND, EVENT, INTERNAL_TIME, MODEL, MOVE, REFERENCE, Front
from schemas import topics

MOVES = f".{topics.OUTPUTS[topics.MOVES].name}"


class Arrivals:
    """Brings records to `front`.

    Parameters
    ----------
    places
        Of every partition, as `front` numbers them: reference data, channels, internal ones.
    channels
        The consumer of the first two, to be asked where a partition begins that lost records.
    kinds
        Of reference data, by partition.
    """

    def __init__(
        self, run: Run, front: Front, places: Sequence[Place], channels: Consumer, kinds: Sequence[str]
    ) -> None:
        self._run, self._front, self._places, self._channels = run, front, places, channels
        self._kinds = kinds
        self._index = {place: index for index, place in enumerate(places)}
        self._identifiers = Identifiers(run.playbook.policies, run.playbook.region)
        self._traces = run.watching.traces
        self._followed: dict[tuple[int, int], tuple[str, int]] = {}  # (index, offset) -> context, since (ns)

    def take(self, messages: list[kafka.Record]) -> None:
        """Raises KafkaTrouble when one says that its partition cannot be read."""
        front, index, identifiers = self._front, self._index, self._identifiers
        inputs, newest, read = front.inputs, front.newest, headers.read
        leading = front.leading
        traces = self._traces
        for message in messages:
            if message.error() is not None:
                self._trouble(message)
                continue
            i = index[message.topic(), message.partition()]
            offset, raw, arrived = message.offset(), message.value() or b"", message.timestamp()[1]
            if traces is not None and (given := message.headers()) and (context := traces.incoming(given)):
                self._followed[i, offset] = context, traces.now()
            if i < inputs:
                try:
                    if i >= leading:
                        at, keys = read(raw, arrived, identifiers)
                        front.add((at, i, offset, EVENT, arrived, keys, raw))
                    else:
                        version = reference.read(self._kinds[i], message.value(), message.key(), arrived)
                        front.add((version.came, i, offset, REFERENCE, arrived, version, b""))
                except headers.BadHeader as bad:
                    front.add((newest[i], i, offset, BAD, arrived, (bad.reason, bad.detail), raw))
            elif self._places[i][0].endswith(MOVES):
                front.add((INTERNAL_TIME, i, offset, MOVE, arrived, None, raw))
            elif self._places[i][0] == self._run.models:
                front.add((INTERNAL_TIME, i, offset, MODEL, arrived, None, raw))
            else:
                name = (message.key() or b"").decode(errors="replace")
                front.add((INTERNAL_TIME, i, offset, COMMAND, arrived, name, raw))

    def followed(self, cut: Cut) -> dict[str, str] | None:
        """What the cut holds of the events that are followed: place -> context. None while none is."""
        if not self._followed:
            return None
        found: dict[str, str] = {}
        traces = self._traces
        assert traces is not None
        for (i, offset), (context, since) in list(self._followed.items()):
            if offset < cut.ends.get(i, 0):
                del self._followed[i, offset]
                topic, partition = self._places[i]
                mine = traces.received(topic, partition, offset, cut.number, context, since)
                if mine:
                    found[f"{topic}/{partition}/{offset}"] = mine
        return found

    def _trouble(self, message: kafka.Record) -> None:
        error = message.error()
        place = (message.topic(), message.partition())
        if kafka.is_end(error):
            self._front.read_up_to(self._index[place], message.offset())
        elif kafka.gone(error):
            at = self._front.arrived_to[self._index[place]]
            low, high = kafka.bounds(self._channels, place)
            resuming.over_the_gap(self._run.on_gap, place, at, False, low, high)
            raise KafkaTrouble(f"{kafka.show(place)}: start again to go on with --on-gap {self._run.on_gap}")
        elif not kafka.passing(error):
            raise KafkaTrouble(f"cannot read {kafka.show(place)}: {error.str()}")
