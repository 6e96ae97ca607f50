"""What `oncue learn` shows: how far it is, how good the models are."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from confluent_kafka import Consumer, TopicPartition

from flows import kafka
from flows.kafka import Place
from flows.models import named
from flows.telemetry.figures import Figures, Point
from operators.churn.learner import ALL, Learner
from schemas.churn import Metrics

REPORTS = 30

_decode = msgspec.json.Decoder(Metrics).decode


class ExamplesView:
    """Of the source. `next`: the offset that is taken next; `arrived`: when the newest taken came (ms)."""

    def __init__(self, client: Consumer, place: Place, within: float) -> None:
        self._client = client
        self._place = place
        self._within = within
        self.next = self.taken = self.arrived = 0
        self.closed = False

    def lag(self) -> int | None:
        if self.closed:
            return None
        end = self._client.get_watermark_offsets(TopicPartition(*self._place), cached=True)[1]
        return max(0, end - self.next) if end >= 0 else None

    def why_not(self) -> str:
        lag = self.lag()
        if lag is None:
            return f"nothing heard yet of {kafka.show(self._place)}"
        behind = time.time() - self.arrived / 1000
        return f"{lag} examples wait" if lag and behind > self._within else ""

    def points(self) -> Iterator[Point]:
        topic, partition = self._place
        yield "messaging.client.consumed.messages", (topic,), self.taken
        lag = self.lag()
        if lag is not None:
            yield "oncue.consumer.lag", (topic, str(partition)), lag


class LearnerView:
    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def points(self) -> Iterator[Point]:
        learner, subject = self._learner, self._learner.subject.name
        yield "oncue.model.labels", (subject,), learner.labels
        for kind in list(learner.total):
            yield "oncue.model.champion", (subject, kind), 1 if kind == learner.race.champion else 0


class ReportView:
    """How good the contestants were in the newest reports that could say; after a start, in those that were
    published before it."""

    def __init__(self, figures: Figures, before: list[tuple[str, Metrics]]) -> None:
        self._figures = figures
        self._newest: dict[tuple[str, str, str], float] = {}
        for subject, report in before:
            self._note(subject, report)
        figures.watch(self.points)

    def published(self, subject: str, report: Metrics) -> None:
        self._note(subject, report)
        for kind in report.drifts:
            self._figures.count("oncue.model.drifts", 1, subject, kind)

    def points(self) -> Iterator[Point]:
        for (name, subject, kind), value in list(self._newest.items()):
            yield f"oncue.model.{name}", (subject, kind), value

    def _note(self, subject: str, report: Metrics) -> None:
        for kind, so_far in report.total.items():
            self._figures.count("oncue.model.drifts", 0, subject, kind)
            lately = report.figures.get(kind, {}).get(ALL)
            known = {
                "auc": so_far.auc,
                "log_loss": lately.log_loss if lately else None,
                "calibration_error": lately.ece if lately else None,
            }
            for name, value in known.items():
                if value is not None:
                    self._newest[name, subject, kind] = value


def last_reports(brokers: str, topic: str) -> list[tuple[str, Metrics]]:
    """The last records of `model-metrics` and what each is about, oldest first."""
    client = kafka.consumer(brokers, "oncue-learning")
    try:
        first, end = kafka.bounds(client, (topic, 0))
        found: list[tuple[str, Metrics]] = []
        client.assign([TopicPartition(topic, 0, max(first, end - REPORTS))])
        until = time.monotonic() + kafka.SOON
        while time.monotonic() < until:
            for record in kafka.take(client, REPORTS):
                if record.error() is None:
                    found.append((named(record.key())[0], _decode(record.value() or b"")))
                elif kafka.is_end(record.error()):
                    return found
        return found
    finally:
        client.close()
