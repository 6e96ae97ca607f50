"""The sections of a playbook about what is foretold, checked and compiled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from operators.churn.definition import Definition as Churn
from operators.churn.definition import Terms
from operators.expressions import Expression
from operators.features import Feature
from operators.foretold import KEEPERS, Definition, Foretold
from operators.hints import near
from operators.intent import vector
from operators.intent.definition import Definition as Intent
from operators.measures import HOUR, WEEKDAY, Measure
from operators.rules import Checker
from operators.served import Served
from schemas import playbook as form

FORMS: dict[str, type[form.Learnt]] = {"churn": form.Churn, "intent": form.Intent}
THROTTLE = 60_000  # ms between scores of churn that events ask for, where the playbook does not say
VISIT = "visit"  # as a horizon
VISITS = 8  # gaps after which a label is known where orders of the same visit count

Features = Mapping[str, Feature | Expression]


def compile_subject(
    subject: str,
    section: form.Learnt,
    checker: Checker,
    line: int,
    measures: Mapping[str, Measure],
    ready: Features,
) -> Foretold | None:
    """None where too much is wrong to go on."""
    return _COMPILERS[subject](subject, checker, line).compile(section, measures, ready)


class _One:
    """One section under the eye of the checker."""

    def __init__(self, subject: str, checker: Checker, line: int) -> None:
        self._subject, self._checker, self._line = subject, checker, line

    def compile(self, section: Any, measures: Mapping[str, Measure], ready: Features) -> Foretold | None:
        self._features(section.features, measures, ready)
        self._positive("promote_after", section.promote_after)
        for name in ("on", "contestants"):
            if not getattr(section, name):
                self._wrong(name, "must name one or more")
        if section.contestants == ["ensemble"]:
            self._wrong("contestants", "an ensemble needs others to be the mean of")
        definition = self._definition(section)
        if not section.on or not section.contestants or definition is None:
            return None
        terms = Terms(section.promote_after, section.margin)
        served = Served(
            definition.subject.rule(len(definition.inputs)), definition.fingerprint, definition.inputs
        )
        keeper = KEEPERS[self._subject](definition)
        return Foretold(definition, tuple(section.contestants), section.contestants[0], terms, served, keeper)

    def _definition(self, section: Any) -> Definition | None:
        raise NotImplementedError

    def _features(self, names: Collection[str], measures: Mapping[str, Measure], ready: Features) -> None:
        known = self._checker.written("features")
        for name in names:
            if name not in known:
                self._wrong("features", f"unknown feature {name!r}{near(name, known)}")
            elif _is_text(ready.get(name), measures):
                self._wrong("features", f"{name!r} is text; models take numbers")

    def _positive(self, name: str, value: int) -> None:
        if value < 1:
            self._wrong(name, "must be 1 or more")

    def _duration(self, name: str, value: str, least: int = 1000) -> int:
        """In ms."""
        found = self._checker.duration(self._line, f"{self._subject}.{name}", value)
        if found < least:
            self._wrong(name, "must be 1s or more")
        return found

    def _wrong(self, name: str, problem: str) -> None:
        self._checker.wrong(self._line, f"{self._subject}.{name}", problem)


class _Churn(_One):
    def _definition(self, section: form.Churn) -> Churn:
        horizon = self._duration("horizon", section.horizon)
        every = self._duration("every", section.every)
        apart = self._duration("apart", section.apart) if section.apart else every
        throttle = min(THROTTLE, every)
        if section.throttle is not None:
            throttle = self._duration("throttle", section.throttle, least=0)
            if 0 < every < throttle:
                self._wrong("throttle", "must not be longer than churn.every")
        self._positive("least", section.least)
        if section.value is not None:
            self._checker.path(self._line, "churn.value", section.value)
        return Churn(
            frozenset(section.on), section.value or "", horizon, every, apart, section.least,
            frozenset(section.rescore), tuple(section.features), throttle,
        )  # fmt: skip


class _Intent(_One):
    def _definition(self, section: form.Intent) -> Intent | None:
        gap = self._duration("gap", section.gap)
        apart = self._duration("apart", section.apart)
        visit = section.horizon == VISIT
        if visit:
            horizon = VISITS * gap
        elif section.horizon[:1].isdigit():
            horizon = self._duration("horizon", section.horizon)
        else:
            horizon = 0
            hint = near(section.horizon, (VISIT,))
            self._wrong("horizon", f"{section.horizon!r} is neither a duration such as 24h nor {VISIT}{hint}")
        self._signals(section)
        if not section.signals:
            return None
        signals = {name: frozenset(events) for name, events in section.signals.items()}
        return Intent(frozenset(section.on), signals, horizon, gap, apart, visit, tuple(section.features))

    def _signals(self, section: form.Intent) -> None:
        if not section.signals:
            self._wrong("signals", "must name one or more")
        taken = dict.fromkeys(section.on, "on")
        for name, events in section.signals.items():
            if not events:
                self._wrong(f"signals.{name}", "must name one or more")
            for event in events:
                if event in taken:
                    self._wrong(f"signals.{name}", f"{event!r} is in {taken[event]} already; it counts once")
                taken[event] = f"signals.{name}"
        twice = set(section.features) & {*vector.names(section.signals)}
        for feature in sorted(twice):
            self._wrong("features", f"{feature!r} is a fact of every visit already")


_COMPILERS: dict[str, type[_One]] = {"churn": _Churn, "intent": _Intent}


def _is_text(feature: Feature | Expression | None, measures: Mapping[str, Measure]) -> bool:
    """Whether a feature is the text of one of its values."""
    if not isinstance(feature, Feature) or feature.aggregate not in ("first", "last", "min", "max", "top"):
        return False
    measure = next((it for it in measures.values() if it.slot == feature.slot), None)
    return measure is not None and measure.unit == "text" and measure.take not in (HOUR, WEEKDAY)
