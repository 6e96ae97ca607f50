"""What came of a run, in a form that tests can ask questions of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from operators import patterns, records
from operators.churn.parts import Statistics
from operators.effects import Effect
from operators.facts import feature_values, newest_score
from operators.parts import Line
from operators.playbook import Playbook
from operators.records import Record
from schemas import topics
from schemas.churn import Example
from schemas.outbound import DeadLetter, Decision, Identity, Profile, Trigger, TriggerCancelled


class Outcome:
    """What came of it: outputs by id, the surviving customers and who was merged into whom."""

    def __init__(self, playbook: Playbook, effects: Iterable[Effect], found: Mapping[str, Record]) -> None:
        self.playbook = playbook
        self.effects = {effect.id: effect for effect in effects}
        self.triggers = self._bodies(topics.TRIGGERS, Trigger, "oncue.trigger.")
        self.cancelled = self._bodies(topics.TRIGGERS, TriggerCancelled, "oncue.trigger-cancelled.")
        self.decisions = self._bodies(topics.DECISIONS, Decision)
        self.dead_letters = self._bodies(topics.DEAD_LETTERS, DeadLetter)
        # The last of each customer is what a compacted topic keeps.
        self.profiles = {body.customer: body for body in self._bodies(topics.PROFILES, Profile).values()}
        self.examples = self._bodies(topics.CHURN_EXAMPLES, Example)
        self.visits = self._bodies(topics.INTENT_EXAMPLES, Example)
        merged = self._bodies(topics.IDENTITIES, Identity)
        self.identities = {body.retired: body.customer for body in merged.values()}
        self.customers = dict(found)

    def survivor(self, customer: str) -> str:
        while customer in self.identities:
            customer = self.identities[customer]
        return customer

    def features(self, now: int) -> dict[str, dict[str, Any]]:
        """Every feature of the playbook for every surviving customer at `now`."""
        return {id: self.features_of(id, now) for id in self.customers}

    def features_of(self, customer: str, now: int) -> dict[str, Any]:
        record = self.customers.get(customer, Record(customer))
        return feature_values(self.playbook, record, self.playbook.features, now)

    def score_of(self, customer: str, subject: str, now: int) -> Any:
        """Their newest score by the rule, or None."""
        return newest_score(self.playbook, self.customers[customer], subject, now)

    def said_of(self, customer: str, name: str, now: int) -> Any:
        """What their score says."""
        return feature_values(self.playbook, self.customers[customer], [name], now)[name]

    def consents(self, customer: str) -> dict[str, tuple[int, bool]]:
        found: dict[str, tuple[int, bool]] = self._part(customer, "core").consents
        return found

    def purchases(self, customer: str) -> Statistics:
        return self._part(customer, "churn").bought  # type: ignore[no-any-return]

    def open_carts(self, customer: str, rule: str) -> dict[str, tuple[int, list[Line]]]:
        """Key -> (since, what lies in it) of the absences of `rule` that are not decided yet."""
        mine = self._part(customer, f"p:{rule}")
        basket = self.playbook.rules[rule].basket
        return {
            key: (found.since, patterns.basket(mine, found).lines)
            for key, found in mine.keys.items()
            if patterns.is_open(mine, found, basket)
        }

    def outputs(self) -> dict[str, bytes]:
        """Id -> body of everything that leaves the engine for others to use, but for profiles, of which
        those that are replaced within a cut are not sent."""
        inner = (topics.MOVES, topics.LEDGER, topics.CONTROL, topics.PROFILES)
        return {id: e.body for id, e in self.effects.items() if e.topic not in inner}

    def state(self) -> dict[str, dict[str, Any]]:
        """Every customer's parts, decoded; parts that hold nothing are left out."""
        nothing = Record("")
        return {
            id: {
                name: self._part(id, name)
                for name in record.names()
                if self._part(id, name) != nothing.part(name)
            }
            for id, record in self.customers.items()
        }

    def _part(self, customer: str, name: str) -> Any:
        record = self.customers.get(customer, Record(customer))
        return records.decode(customer, record.encode()).part(name)

    def _bodies(self, topic: int, kind: type[Any], of: str = "") -> dict[str, Any]:
        decode = msgspec.json.Decoder(kind).decode
        return {
            e.id: decode(e.body) for e in self.effects.values() if e.topic == topic and e.type.startswith(of)
        }
