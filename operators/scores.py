"""Scores of one shard's customers: when they are found, by which model, and what becomes of the labels.
What is foretold is in `operators/foretold.py`; the core of it is `operators/churn/` and `operators/intent/`.

A score is as of the later of what asks for it and the newest that is known of the customer, and never of
an earlier moment than the one before, so that a snapshot holds nothing that its time could not know.

A model scores what is as of later than everything that had been seen when it came, whatever is applied when:
so a score does not depend on how long its customer waited for a move.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from operators import effects, profiles
from operators.churn import published
from operators.churn.keeper import Keeper, Score
from operators.churn.published import Incompatible
from operators.facts import numbers
from operators.foretold import Definition
from operators.intents import Intents
from operators.parts import Core
from operators.playbook import Playbook
from operators.records import Record
from operators.served import Taken
from schemas import topics

News = tuple[str, Any]  # a subject, and what an event is to it


class Foresight:
    """All that is foretold. `taken`: the models that were taken before, oldest first. `playbook` is the one
    given with these models in it: whoever reads scores reads them by this one. Labels for topics that are not
    among those `written` (codes) are left out."""

    def __init__(
        self,
        playbook: Playbook,
        taken: Iterable[Taken] = (),
        written: Container[int] = range(len(topics.OUTPUTS)),
    ) -> None:
        self.playbook = playbook = playbook.serving()
        self.scores = {
            subject: Scores(playbook, subject, topics.EXAMPLES[subject] in written)
            for subject in playbook.foretold
        }
        self.taken: list[Taken] = []
        for after, raw in taken:
            try:
                self.take(after, raw)
            except Incompatible:
                continue  # the playbook's definition has changed: the rule serves until there is one for it

    def take(self, after: int, raw: bytes) -> None:
        """A model was published. Raises Incompatible when it cannot be used; then all stays as it was. One
        of a subject that the playbook does not name is nobody's."""
        model = published.read(raw)
        scores = self.scores.get(model.subject)
        if scores is not None:
            scores.served.take(after, raw, model)
            self.taken = [one for scores in self.scores.values() for one in scores.served.taken]

    def event(
        self, intents: Intents, record: Record, core: Core, news: tuple[News, ...], at: int, message: str,
        before: int,
    ) -> None:  # fmt: skip
        """An event at `at` that is something to these subjects. `before`: the watermark before its cut."""
        for subject, what in news:
            self.scores[subject].event(intents, record, core, what, at, message, before)

    def take_up(self, record: Record) -> None:
        """What scores are made of was counted, and nobody was scored yet."""
        for scores in self.scores.values():
            scores.take_up(record)

    def merged(self, intents: Intents, record: Record, core: Core, at: int, cause: str) -> None:
        """Two customers are one since an event at `at`; the scores there are are of one half."""
        for scores in self.scores.values():
            scores.merged(intents, record, core, at, cause)

    def first_due(self, core: Core, limit: int) -> tuple[int, Scores] | None:
        """The first alarm by `limit`, and whose it is."""
        alarms, soonest = core.alarms, limit + 1
        first: Scores | None = None
        for scores in self.scores.values():
            due = alarms.get(scores.alarm, soonest)
            if due < soonest:
                first, soonest = scores, due
        return (soonest, first) if first is not None else None


class Scores:
    """Those of one subject. `alarm`: its name among a customer's alarms; no trigger can have it. `taught`:
    labels are wanted.

    A score that no rule watches may be found when somebody wants to know it, see `Keeper.ask`."""

    def __init__(self, playbook: Playbook, subject: str, taught: bool) -> None:
        foretold = playbook.foretold[subject]
        definition: Definition = foretold.definition
        self.alarm = f"!{subject}"
        self.served = foretold.served
        self._playbook = playbook
        self._subject = subject
        self._taught = taught
        self._keeper: Keeper = foretold.keeper
        self._more = definition.more
        self._every = definition.every
        self._grace = playbook.times.grace
        self._profile_every = playbook.profiles.every if playbook.profiles else 0

    # --- what asks for a score ------------------------------------------------------------------------

    def event(
        self, intents: Intents, record: Record, core: Core, what: Any, at: int, message: str, before: int
    ) -> None:
        """An event at `at`, which is `what` to it. `before`: the watermark before its cut."""
        if self._keeper.begins(what) or record.has(self._subject):
            part = record.part(self._subject)
            if self._keeper.happened(part, at, what):
                self._ask(intents, record, core, part, at, message, before, before)
            else:
                self._plan(core.alarms, part)

    def count(self, record: Record, at: int, what: Any) -> None:
        """An event at `at`, which is `what` to it, without finding a score."""
        if self._keeper.begins(what) or record.has(self._subject):
            self._keeper.happened(record.part(self._subject), at, what)

    def take_up(self, record: Record) -> None:
        if record.has(self._subject):
            core: Core = record.part("core")
            self._plan(core.alarms, record.part(self._subject))

    def merged(self, intents: Intents, record: Record, core: Core, at: int, cause: str) -> None:
        if record.has(self._subject):
            self._ask(intents, record, core, record.part(self._subject), at, cause, at, at)

    def due(self, intents: Intents, record: Record, core: Core, alarm: int, watermark: int) -> None:
        """The alarm set for `alarm` went off: labels are known, or it is long since the last score."""
        part, now = record.part(self._subject), alarm - self._grace
        keeper = self._keeper
        for one in keeper.release(part, now):
            if self._taught:
                intents.effects.append(effects.example(self._subject, keeper.example(one), intents.arrived))
        if keeper.again(part, now):
            self._ask(intents, record, core, part, now, "", now, watermark)
        else:
            self._plan(core.alarms, part)

    def _ask(
        self, intents: Intents, record: Record, core: Core, part: Any, at: int, cause: str, before: int,
        watermark: int,
    ) -> None:  # fmt: skip
        keeper, alarms = self._keeper, core.alarms
        at = max(at, max(core.last_seen, keeper.last(part)))
        if keeper.eligible(part, at):
            found: Score | None = None
            if keeper.ask(part, at) or intents.watches(self._subject):
                try:
                    found = self._score(record, part, at)
                except Exception as error:
                    dead = effects.dead_part(record.id, self._subject, at, intents.arrived, error, b"")
                    intents.effects.append(dead)
                    alarms[self.alarm] = at + self._every + self._grace
                    return
                intents.scored(record, self._subject, found, cause, watermark)
            if self._profile_every and profiles.ALARM not in alarms and keeper.is_news(part, found):
                profiles.plan(core, max(at, before), self._profile_every)
        self._plan(alarms, part)

    def _score(self, record: Record, part: Any, at: int) -> Score:
        more = numbers(self._playbook, record, self._more, at)
        return self._keeper.score(part, record.id, at, more, self.served.scorer(at))

    def _plan(self, alarms: dict[str, int], part: Any) -> None:
        due = self._keeper.due(part)
        if due >= 0:
            alarms[self.alarm] = due + self._grace
        else:
            alarms.pop(self.alarm, None)
