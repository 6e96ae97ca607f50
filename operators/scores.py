"""Scores of one shard's customers: when they are found, by which model, and what becomes of the labels.
The core is `operators/churn/`.

A score is as of the later of what asks for it and the newest that is known of the customer, and never of
an earlier moment than the one before, so that a snapshot holds nothing that its time could not know.

A model scores what is as of later than everything that had been seen when it came, whatever is applied when:
so a score does not depend on how long its customer waited for a move.
"""

from __future__ import annotations

from collections.abc import Iterable

from operators import effects, profiles
from operators.churn import customer, published, scoring
from operators.churn.customer import Churn
from operators.churn.published import Incompatible
from operators.churn.scoring import Scorer
from operators.events import Deal
from operators.facts import feature_values
from operators.intents import Intents
from operators.playbook import Playbook
from operators.records import Core, Record

ALARM = "!churn"  # its name among a customer's alarms; no trigger can have it
PART = "churn"
KEPT = 32  # models, for what waited while newer ones came
MOVED = 0.01  # of probability: a score that moved less is no news for a profile

Taken = tuple[int, bytes]  # what a model scores is as of later than this (ms); the record it came as


class Scores:
    """`taken`: the models that were taken before, oldest first; the newest KEPT of them count. Of those that
    came at the same moment only the newest can ever score."""

    def __init__(self, playbook: Playbook, taken: Iterable[Taken] = ()) -> None:
        assert playbook.churn is not None
        self._playbook = playbook
        self._definition = playbook.churn.definition
        self._grace = playbook.times.grace
        self._profile_every = playbook.profiles.every if playbook.profiles else 0
        self._rule = scoring.rule(len(self._definition.more))
        self._scorers: list[tuple[int, Scorer]] = []
        self.taken: list[Taken] = []
        for after, raw in taken:
            try:
                self.take(after, raw)
            except Incompatible:
                continue  # the playbook's definition has changed: the rule serves until there is one for it

    # --- models -------------------------------------------------------------------------------------

    def take(self, after: int, raw: bytes) -> None:
        """A model was published. Raises Incompatible when it cannot be used; then all stays as it was. One
        that is no newer than those taken is a repetition."""
        model = published.read(raw)
        if self._scorers and model.version <= self._scorers[-1][1].version:
            return
        definition = self._definition
        scorer = published.scorer(model, definition.fingerprint, definition.inputs)
        if self.taken and self.taken[-1][0] == after:
            self._scorers, self.taken = self._scorers[:-1], self.taken[:-1]
        self._scorers = [*self._scorers, (after, scorer)][-KEPT:]
        self.taken = [*self.taken, (after, raw)][-KEPT:]

    def scorer(self, at: int) -> Scorer:
        """What scores as of `at`."""
        for after, scorer in reversed(self._scorers):
            if at > after:
                return scorer
        return self._rule

    # --- what asks for a score ------------------------------------------------------------------------

    def event(
        self, intents: Intents, record: Record, core: Core, deal: Deal, at: int, message: str, before: int
    ) -> None:  # fmt: skip
        """An event at `at` that is a purchase or asks for a score. `before`: the watermark before its cut."""
        if deal.bought:
            customer.bought(record.part(PART), at, deal.value, self._definition)
        elif not record.has(PART):
            return
        churn: Churn = record.part(PART)
        if churn.scored is not None and at < churn.scored.at + self._definition.throttle:
            churn.asked = True
            self._plan(core, churn)
        else:
            self._ask(intents, record, core, at, message, before, before)

    def merged(self, intents: Intents, record: Record, core: Core, at: int, cause: str) -> None:
        """Two customers are one since an event at `at`; the score there is is of one half."""
        if record.has(PART):
            self._ask(intents, record, core, at, cause, at, at)

    def due(self, intents: Intents, record: Record, core: Core, alarm: int, watermark: int) -> None:
        """The alarm set for `alarm` went off: labels are known, or it is long since the last score."""
        churn: Churn = record.part(PART)
        definition, now = self._definition, alarm - self._grace
        for example in customer.examples(churn, now, definition):
            intents.effects.append(effects.example(example, intents.arrived))
        last = churn.scored.at if churn.scored is not None else churn.bought.latest[0]
        wait = definition.throttle if churn.asked else definition.every
        if customer.eligible(churn, definition) and last + wait <= now:
            self._ask(intents, record, core, now, "", now, watermark)
        else:
            self._plan(core, churn)

    def _ask(
        self, intents: Intents, record: Record, core: Core, at: int, cause: str, before: int, watermark: int
    ) -> None:  # fmt: skip
        churn: Churn = record.part(PART)
        if customer.eligible(churn, self._definition):
            at = max(at, core.last_seen, churn.scored.at if churn.scored is not None else at)
            try:
                self._score(record, churn, at)
            except Exception as error:
                intents.effects.append(effects.dead_part(record.id, PART, at, intents.arrived, error, b""))
                core.alarms[ALARM] = at + self._definition.every + self._grace
                return
            found = churn.scored
            assert found is not None
            intents.scored(record, found, cause, watermark)
            if self._profile_every and abs(found.churn - churn.told) >= MOVED:
                profiles.plan(core, max(at, before), self._profile_every)
        self._plan(core, churn)

    def _score(self, record: Record, churn: Churn, at: int) -> None:
        definition = self._definition
        more: list[float] = []
        if definition.more:
            values = feature_values(self._playbook, record, definition.more, at).values()
            more = [float(value) if isinstance(value, (int, float)) else 0.0 for value in values]
        customer.score(churn, record.id, at, more, self.scorer(at), definition)

    def _plan(self, core: Core, churn: Churn) -> None:
        due = customer.due(churn, self._definition)
        if due >= 0:
            core.alarms[ALARM] = due + self._grace
        else:
            core.alarms.pop(ALARM, None)
