"""The learner: a fold over the examples of a subject, one record after the other, that publishes models.

Every example is first a test: each contestant is judged by the score that its model of the example's
scoring time gives. Such models are kept for as long as a horizon. Then all contestants learn from it.
What comes out depends on the records and their order only.

Between two labels the time moves on in steps; at each, the models as they are become the ones that
customers scored from then on would have been scored with, and the champion is published.
"""

from __future__ import annotations

from bisect import bisect_right
from math import copysign
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
import numpy as np

from operators.churn import calibration, evaluation, fitting, models, values
from operators.churn.calibration import Platt
from operators.churn.definition import Terms
from operators.churn.evaluation import Tally
from operators.churn.parts import Fitted
from operators.churn.race import RULE, Race, Standing
from operators.churn.scoring import Function, Scorer, probability, read
from operators.churn.statistics import DAY
from operators.churn.subject import CHURN, Subject
from operators.churn.vector import Population
from schemas.churn import FORMAT, Command, Example, Figures, Metrics, Model

ALL = "all"  # the segment that everybody is in
SAMPLE = 2_000  # customers that the populations are fitted to, at most twice as many are kept
REFIT = 30 * DAY
KEPT = 10  # published models that can be rolled back to
FIRST = 100  # labels before the first model is published
ASKED = 20  # one label in so many is asked what moved its score
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, dict[str, Any]]).decode


class Course(NamedTuple):
    """What is learnt and how. `names`: the inputs in their order; `horizon` in ms; `definition`: the
    fingerprint of what is foretold; `kinds`: contestants; `champion`: the first one; `river`: its version."""

    names: tuple[str, ...]
    horizon: int
    definition: str
    river: str
    kinds: tuple[str, ...] = ("recursive", "logistic", "tree", "ensemble")
    champion: str = "recursive"
    terms: Terms = Terms()


class Exported(NamedTuple):
    """All contestants as of `at`: what a customer scored then would have been scored with. `raw`: the same
    in plain numbers, to be kept."""

    at: int
    scorers: dict[str, Scorer]
    raw: bytes


class Output(NamedTuple):
    """To be published; `version` is that of the record that made it. `gone`: this older model need no
    longer be kept."""

    version: int
    model: Model | None = None
    metrics: Metrics | None = None
    gone: int = 0


class State(msgspec.Struct, array_like=True):
    """Everything a learner knows, in plain numbers, but for River's own objects. Changing it is a new
    format of `frozen`."""

    next: int
    now: int
    labels: int
    fitted: Fitted
    fitted_at: int
    fitted_labels: int
    sample: dict[str, Population]
    sparse: int
    contestants: dict[str, Any]
    calibrations: dict[str, Platt]
    race: Standing
    history: list[tuple[int, bytes]]
    total: dict[str, Tally]
    recent: dict[str, dict[str, Tally]]
    moved: dict[str, tuple[float, float]]
    asked: int
    events: list[str]
    published: dict[int, Model]
    held: bool


class Learner:
    """`apply` takes the records with their offsets. `next` is the first offset not yet taken; what is
    before it is ignored, so a record may come again."""

    def __init__(self, course: Course, subject: Subject = CHURN) -> None:
        self.course = course
        self.subject = subject
        self.next = 0
        self.now = -1
        self.labels = 0
        self.fitted = Fitted()
        self.fitted_at = self.fitted_labels = 0
        self.sample: dict[str, Population] = {}
        self.sparse = 1  # one customer in so many is in the sample
        self.contestants = models.make(course.kinds, course.names)
        kinds = (*course.kinds, RULE)
        self.calibrations = {kind: Platt() for kind in kinds}
        self.race = Race(kinds, course.champion, course.terms)
        self.history: list[Exported] = []
        self.total = {kind: evaluation.empty() for kind in kinds}
        self.recent: dict[str, dict[str, Tally]] = {kind: {} for kind in kinds}
        self.moved: dict[str, tuple[float, float]] = {}
        self.asked = 0
        self.events: list[str] = []
        self.published: dict[int, Model] = {}
        self.held = False  # an operator rolled back: nothing is published until they promote

    def apply(self, offset: int, record: Example | Command) -> list[Output]:
        if offset < self.next:
            return []
        self.next = offset + 1
        if isinstance(record, Command):
            return self._command(record)
        inputs = self.subject.inputs(record.facts, self.fitted, self.course.horizon)
        if len(inputs) != len(self.course.names):
            raise ValueError(f"{len(record.facts)} facts: of another definition")
        if record.known_at > self.now:
            fitted, out = self.fitted, self._pass(record.known_at)
            if self.fitted is not fitted:
                inputs = self.subject.refit(inputs, record.facts, self.fitted, self.course.horizon)
        else:
            out = []
        why = self._test(record, inputs)
        self._learn(record, inputs)
        if why is not None:
            self.events.append(why)
            if not self.held:
                out += self._publish(why)
        return out

    def keep(self) -> State:
        return State(
            self.next, self.now, self.labels, self.fitted, self.fitted_at, self.fitted_labels, self.sample,
            self.sparse,
            {kind: kept for kind, one in self.contestants.items() if (kept := one.keep()) is not None},
            self.calibrations, self.race.keep(), [(past.at, past.raw) for past in self.history],
            self.total, self.recent, self.moved, self.asked, self.events, self.published, self.held,
        )  # fmt: skip

    def river(self) -> dict[str, Any]:
        """River's objects, by name: what `keep` does not hold."""
        models = {kind: one.river() for kind, one in self.contestants.items() if one.keep() is None}
        return {"models": models, "detectors": self.race.detectors}

    def restore(self, state: State, river: dict[str, Any]) -> None:
        """Go on from what was kept. Raises KeyError, TypeError or ValueError when it does not fit."""
        (
            self.next, self.now, self.labels, self.fitted, self.fitted_at, self.fitted_labels, self.sample,
            self.sparse, contestants, self.calibrations, race, history,
            self.total, self.recent, self.moved, self.asked, self.events, self.published, self.held,
        ) = msgspec.structs.astuple(state)  # fmt: skip
        for kind, contestant in self.contestants.items():
            contestant.restore(contestants[kind] if kind in contestants else river["models"][kind])
        self.race.restore(race, river["detectors"])
        self.history = [
            Exported(at, {kind: read(plain) for kind, plain in _decode(raw).items()}, raw)
            for at, raw in history
        ]

    @property
    def _step(self) -> int:
        """How far time moves between two exports, whole days if it can; a horizon has 30 at most, so that
        few are kept."""
        horizon = self.course.horizon
        return max(min(DAY, horizon // 24), horizon // 30 // DAY * DAY)

    def _pass(self, now: int) -> list[Output]:
        """Time moves on to `now`: at the end of a step, export, report and publish."""
        before, self.now = self.now, now
        edge = (before // self._step + 1) * self._step
        if before < 0 or now < edge or self.labels < FIRST:
            return []
        if before - self.fitted_at >= REFIT or self.labels >= 2 * self.fitted_labels:
            self._fit(before)
        scorers = self.export()
        self.history.append(
            Exported(edge, scorers, _encode({kind: scorer.plain() for kind, scorer in scorers.items()}))
        )
        while len(self.history) > 1 and self.history[1].at <= now - self.course.horizon:
            del self.history[0]
        report = self._report(edge)
        return [report] if self.held else [*self._publish(f"labels known before {edge}"), report]

    def _test(self, example: Example, inputs: list[float]) -> str | None:
        """Judge every contestant by the score it would have given. `inputs` are today's."""
        place = bisect_right(self.history, example.at, key=_at)
        if not place:
            return None
        losses = {}
        fitted = self.fitted
        segment, label = example.segment, example.label
        for kind, scorer in self.history[place - 1].scorers.items():
            if scorer.fitted is not fitted:
                fitted = scorer.fitted
                inputs = self.subject.refit(inputs, example.facts, fitted, self.course.horizon)
            odds = scorer.function.raw(inputs)
            score = probability(scorer.slope * odds + scorer.shift)
            tallies = self.recent[kind]
            tally = tallies.get(segment)
            if tally is None:
                tally = tallies[segment] = evaluation.empty()
            losses[kind] = evaluation.add(tally, score, label)
            calibration.learn(self.calibrations[kind], odds, label)
            if self.labels % ASKED == 0 and kind == self.race.champion:
                self._ask(scorer, inputs)
        return self.race.add(losses)

    def _ask(self, scorer: Scorer, inputs: list[float]) -> None:
        """Add up what moved this score, and which part of it large values raised."""
        self.asked += 1
        for index, move in enumerate(scorer.function.moves(inputs)):
            far = abs(move)
            raised = copysign(far, move if scorer.function.above(inputs, index) else -move)
            before = self.moved.get(self.course.names[index], (0.0, 0.0))
            self.moved[self.course.names[index]] = before[0] + far, before[1] + raised

    def _learn(self, example: Example, inputs: list[float]) -> None:
        self.labels += 1
        row = np.array(inputs)
        named = dict(zip(self.course.names, inputs, strict=True)) if len(self.contestants) > 1 else {}
        for contestant in self.contestants.values():
            contestant.learn(named, row, example.label)
        if self.subject.population is None:
            return
        if crc32(example.customer.encode()) % self.sparse == 0:
            self.sample[example.customer] = self.subject.population(example.facts)
            while len(self.sample) > 2 * SAMPLE:
                self.sparse *= 2
                self.sample = {
                    customer: about
                    for customer, about in self.sample.items()
                    if crc32(customer.encode()) % self.sparse == 0
                }

    def _fit(self, now: int) -> None:
        if self.subject.population is None:
            return
        about = list(self.sample.values())
        self.fitted = Fitted(
            fitting.fit_purchasing([(x, t_x, age) for x, t_x, age, _, _ in about], self.fitted.purchasing),
            fitting.fit_spending([(n, mean) for _, _, _, n, mean in about], self.fitted.spending),
        )
        self.fitted_at, self.fitted_labels = now, self.labels

    def export(self) -> dict[str, Scorer]:
        """All contestants as they are."""
        found: dict[str, Function] = models.export(self.contestants, self.course.kinds)
        found[RULE] = self.subject.rule(len(self.course.names)).function
        return {
            kind: Scorer(function, self.fitted, *calibration.used(self.calibrations[kind]))
            for kind, function in found.items()
        }

    def figures(self) -> dict[str, Figures]:
        """Of every contestant, over all labels up to the newest report."""
        return {kind: evaluation.figures(tally) for kind, tally in self.total.items()}

    def _publish(self, why: str) -> list[Output]:
        kind = self.race.champion
        scorer = self.export()[kind]
        return self._put(
            Model(
                format=FORMAT,
                river=self.course.river,
                version=self.next,
                contestant=kind,
                labels=self.labels,
                trained_until=self.now,
                definition=self.course.definition,
                inputs=list(self.course.names),
                scorer=scorer.function.plain(),
                fitted={
                    "purchasing": list(scorer.fitted.purchasing),
                    "spending": list(scorer.fitted.spending),
                },
                calibration=[scorer.slope, scorer.shift],
                values=values.percentiles([*self.sample.values()], scorer.fitted, self.course.horizon),
                subject=self.subject.name,
                figures=evaluation.figures(self.total[kind]),
                why=why,
            )
        )

    def _put(self, model: Model) -> list[Output]:
        self.published[model.version] = model
        out = [Output(model.version, model)]
        for old in sorted(self.published)[:-KEPT]:
            del self.published[old]
            out.append(Output(model.version, gone=old))
        return out

    def _report(self, at: int) -> Output:
        champion = self.race.champion
        for kind, tallies in self.recent.items():
            tallies[ALL] = evaluation.together(tallies.values())
            self.total[kind] = evaluation.together([self.total[kind], tallies[ALL]])
        report = Metrics(
            version=self.next,
            at=at,
            labels=self.labels,
            champion=champion,
            figures={
                kind: {segment: evaluation.figures(tally) for segment, tally in sorted(tallies.items())}
                for kind, tallies in self.recent.items()
            },
            total=self.figures(),
            curve=evaluation.curve(self.recent[champion][ALL]),
            tenths=evaluation.tenths(self.recent[champion][ALL]),
            weights={
                name: (far / self.asked, raised / far if far else 0.0)
                for name, (far, raised) in self.moved.items()
            },
            drifts=sorted(set(self.race.drifted)),
            events=self.events,
        )
        self.recent = {kind: {} for kind in self.recent}
        self.moved, self.asked = {}, 0
        self.race.drifted, self.events = [], []
        return Output(self.next, metrics=report)

    def _command(self, command: Command) -> list[Output]:
        if command.command == "promote":
            if command.contestant not in self.total:
                self.events.append(f"an operator promoted {command.contestant!r}, which does not take part")
                return []
            self.race.promote(command.contestant)
            self.held = False
            self.events.append(f"an operator promoted {command.contestant}")
            return self._publish(self.events[-1]) if self.labels >= FIRST else []
        old = self.published.get(command.version)
        if old is None:
            self.events.append(f"an operator rolled back to version {command.version}, which is not kept")
            return []
        self.held = True
        self.events.append(f"an operator rolled back to version {command.version}")
        return self._put(msgspec.structs.replace(old, version=self.next, why=self.events[-1]))


def _at(exported: Exported) -> int:
    return exported.at
