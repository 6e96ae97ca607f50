"""The rules of a shard at work: what an event begins or ends, what time decides, what that cancels.

Rules are indexed by the events that they react to; only what an event touches is looked at. An absence is
decided by the alarm of its customer, which is never later than the first one due; it may be earlier, when
what it was set for has been taken away or begun again, and is then set anew when it goes off.
"""

from __future__ import annotations

from typing import Any

from operators import effects, patterns, told
from operators.churn.keeper import Score
from operators.effects import Effect
from operators.events import Sign
from operators.facts import feature_values
from operators.money import MILLION
from operators.parts import Core, Pattern, Patterns
from operators.playbook import Playbook
from operators.records import Record
from operators.rules import Rule
from operators.triggers import Reason, cancel, decide, failed

FEW_KEYS = 8  # of one rule: with more, an alarm that may be too early is left as it is


class Intents:
    """The rules of one shard. `effects` is where what they decide goes; `arrived` (broker time, ms) is
    when the event that is being applied came in."""

    def __init__(self, playbook: Playbook) -> None:
        self.effects: list[Effect] = []
        self.arrived = 0
        self._playbook = playbook
        self._rules = playbook.rules
        self._grace = playbook.times.grace
        self._of_scores = {
            subject: tuple(rule for rule in playbook.rules.values() if told.OF.get(rule.of) == subject)
            for subject in playbook.foretold
        }

    # --- an event -----------------------------------------------------------------------------------

    def react(
        self, record: Record, core: Core, signs: list[Sign], at: int, message: str, before: int
    ) -> None:
        """What an event at `at` means to the rules. `before`: the watermark before its cut."""
        ended = False
        alarms = core.alarms
        for rule, begins, keys, what in signs:
            mine: Patterns = record.part(rule.part)
            if begins:
                for key in keys:
                    if self._begin(record, core, rule, mine, key, what, at, message, before):
                        ended = True
                continue
            ended = True
            for key in keys:
                patterns.stop(mine, key, at, rule.room)
            if not keys:
                patterns.stop_all(mine, at)
            if rule.kind == "threshold" or rule.name in alarms:
                self._ended(record, core, rule, mine, keys, at)
        if ended:
            self.cancel(record, at, message, before)

    def cancel(self, record: Record, at: int, cause: str, before: int) -> None:
        """Recall what was sent and has lost its reason."""
        if record.has("sent"):
            self.effects += cancel(self._playbook, record, at, cause, before, self.arrived)

    def _ended(
        self, record: Record, core: Core, rule: Rule, mine: Patterns, keys: tuple[str, ...], at: int
    ) -> None:
        """The consequences of an end. A late one may lower a threshold that was reached after it."""
        if rule.kind == "threshold":
            found = mine.keys
            for key in keys or tuple(found):
                if _reached(mine, found[key]):
                    self._weigh_again(record, rule, mine, found[key], at)
        elif len(mine.keys) <= FEW_KEYS:
            self._plan(core, rule, mine)

    # What begins or goes on, by kind. `low`: the watermark before the cut.

    def _begin(
        self, record: Record, core: Core, rule: Rule, mine: Patterns, key: str, what: Any, at: int,
        message: str, low: int,
    ) -> bool:  # fmt: skip
        """Whether it may have taken a reason away."""
        kind = rule.kind
        if kind == "repeat":
            self._count(record, rule, mine, key, what, at, message, low)
        elif kind == "drop":
            self._compare(record, rule, mine, key, what, at, message, low)
        elif kind == "absence":
            return self._wait(core, rule, mine, key, what, at, message)
        else:
            return self._weigh(record, rule, mine, key, what, at, message, low)
        return False

    def _wait(
        self, core: Core, rule: Rule, mine: Patterns, key: str, what: Any, at: int, message: str
    ) -> bool:
        pattern = patterns.touch(mine, key, at, message, rule.room)
        alarms = core.alarms
        due = at + rule.wait + self._grace
        if alarms.get(rule.name, due) >= due:
            alarms[rule.name] = due
        if not rule.basket:
            return False
        patterns.add_line(pattern, what)
        return bool(what.quantity < 0)

    def _count(
        self, record: Record, rule: Rule, mine: Patterns, key: str, what: Any, at: int, message: str, low: int
    ) -> None:  # fmt: skip
        pattern = patterns.seen_before(mine, key, at, 0 if rule.what is None else what, rule.room)
        if pattern is None:  # once is no repetition
            return
        if at > pattern.since:
            pattern.since = at
        if rule.what is None:
            patterns.add_mark(pattern, at, 0)
        else:
            patterns.add_thing(pattern, at, what)
        found = patterns.repeated(mine, pattern, rule.within)
        if len(found) >= rule.times:
            reason = Reason(key, message, pattern.since, min(found)[0], {"times": len(found)})
            pattern.marks = []
            self._decide(record, rule, mine, reason, max(low, at))

    def _compare(
        self, record: Record, rule: Rule, mine: Patterns, key: str, what: Any, at: int, message: str, low: int
    ) -> None:  # fmt: skip
        once = mine.once
        first = once.get(key)
        if first is not None and first[1] == what and first[0] <= at:
            once[key] = at, what
            return
        pattern = patterns.seen_before(mine, key, at, what, rule.room)
        if pattern is None:
            return
        if at > pattern.since:
            pattern.since = at
        high = patterns.highest(mine, pattern, at, what, rule.within)
        if high is not None and high[1] - what >= (rule.by_amount or high[1] * rule.by_share):
            pattern.marks = [(at, what)]
            if pattern.fired < pattern.since:
                facts = {"value_before": high[1], "value_now": what}
                self._decide(record, rule, mine, Reason(key, message, at, high[0], facts), max(low, at))

    def _weigh(
        self, record: Record, rule: Rule, mine: Patterns, key: str, what: Any, at: int, message: str, low: int
    ) -> bool:  # fmt: skip
        pattern = patterns.touch(mine, key, at, message, rule.room)
        if rule.basket:
            patterns.add_line(pattern, what)
        if _reached(mine, pattern):
            return self._weigh_again(record, rule, mine, pattern, at)
        if pattern.fired < pattern.since:
            reason = Reason(key, pattern.cause, pattern.since, pattern.since, {})
            try:
                if self._holds(record, rule, mine, pattern, at):
                    self._decide(record, rule, mine, reason, max(low, at))
            except Exception as error:
                self._fail(record, rule, mine, reason, error)
        return False

    def _weigh_again(self, record: Record, rule: Rule, mine: Patterns, pattern: Pattern, at: int) -> bool:
        """Whether a threshold that had been reached is so no more, and may be reached anew."""
        try:
            if self._holds(record, rule, mine, pattern, at):
                return False
        except Exception:
            return False  # it was told of when it was reached, or will be when it is reached anew
        pattern.below = max(at, pattern.fired)
        return True

    def _holds(self, record: Record, rule: Rule, mine: Patterns, pattern: Pattern, at: int) -> bool:
        assert rule.when is not None
        hidden = self._playbook.hidden
        if hidden and not hidden.isdisjoint(rule.when.names):
            return False  # nobody can say yet
        facts = feature_values(self._playbook, record, rule.facts, at)
        if rule.basket:
            basket = patterns.basket(mine, pattern)
            facts["basket_value"], facts["basket_items"] = basket.value, basket.items
        return rule.when.test(facts)

    # --- a score -------------------------------------------------------------------------------------

    def watches(self, subject: str) -> bool:
        """Whether a rule looks at every score of this subject."""
        return bool(self._of_scores[subject])

    def scored(self, record: Record, subject: str, score: Score, cause: str, watermark: int) -> None:
        """A customer was scored anew because of `cause`, a message id or nothing but time."""
        for rule in self._of_scores[subject]:
            value = told.says(score, rule.of)
            if value is None:
                continue
            if rule.kind == "rise":
                self._rise(record, rule, value, score.at, cause, watermark)
            elif value >= rule.above:
                self._cross(record, rule, value, score.at, cause, watermark)
            elif value < rule.until and record.has(rule.part):
                mine: Patterns = record.look(rule.part)
                pattern = mine.keys.get("")
                if pattern is not None and _reached(mine, pattern):
                    record.part(rule.part)
                    pattern.below = max(score.at, pattern.fired)
                    self.cancel(record, score.at, cause, score.at)

    def _cross(
        self, record: Record, rule: Rule, value: float, at: int, cause: str, watermark: int
    ) -> None:  # fmt: skip
        mine: Patterns = record.look(rule.part)
        pattern = mine.keys.get("")
        if pattern is not None and _reached(mine, pattern):
            return
        mine = record.part(rule.part)
        if pattern is None:
            pattern = mine.keys[""] = Pattern(lines=[], marks=[])
        if at > max(pattern.until, mine.until, pattern.below):
            pattern.since, pattern.cause = at, cause
            reason = Reason("", cause, at, at, {rule.of: value})
            self._decide(record, rule, mine, reason, max(watermark, at))

    def _rise(
        self, record: Record, rule: Rule, value: float, at: int, cause: str, watermark: int
    ) -> None:  # fmt: skip
        """As a drop of what is below zero."""
        mine: Patterns = record.part(rule.part)
        number = -round(value * MILLION)
        pattern = patterns.seen_before(mine, "", at, number, rule.room)
        if pattern is None:
            return
        if at > pattern.since:
            pattern.since, pattern.cause = at, cause
        low = patterns.highest(mine, pattern, at, number, rule.within)
        if low is not None and low[1] - number >= (rule.by_amount or -low[1] * rule.by_share):
            pattern.marks = [(at, number)]
            if pattern.fired < pattern.since:
                facts = {"value_before": -low[1] / MILLION, "value_now": value}
                self._decide(record, rule, mine, Reason("", cause, at, low[0], facts), max(watermark, at))

    # --- time ----------------------------------------------------------------------------------------

    def fire(self, record: Record, limit: int, watermark: int) -> None:
        """Decide every absence due by `limit`, in (due, rule, key) order."""
        core: Core = record.part("core")
        due: list[tuple[int, str, str]] = []
        went_off = [name for name, alarm in core.alarms.items() if alarm <= limit]
        for name in went_off:
            rule = self._rules.get(name)
            if rule is None:
                del core.alarms[name]
                continue
            try:
                due += self._due(record, rule, limit)
            except Exception as error:
                self._give_up(record, rule, limit, error)
        for at, name, key in sorted(due):
            rule = self._rules[name]
            mine = record.part(rule.part)
            reason = Reason(key, mine.keys[key].cause, at, at - rule.wait, {})
            self._decide(record, rule, mine, reason, watermark)
        for name in went_off:
            if name in core.alarms:
                rule = self._rules[name]
                try:
                    self._plan(core, rule, record.look(rule.part))
                except Exception as error:
                    self._give_up(record, rule, limit, error)

    def _due(self, record: Record, rule: Rule, limit: int) -> list[tuple[int, str, str]]:
        mine: Patterns = record.look(rule.part)
        latest = limit - rule.wait - self._grace
        return [
            (pattern.since + rule.wait, rule.name, key)
            for key, pattern in mine.keys.items()
            if pattern.since <= latest and patterns.is_open(mine, pattern, rule.basket)
        ]

    def settle(self, record: Record, decided: int, cause: str) -> None:
        """After a merge: what only the merge has brought together gives no reason for what is past, but
        takes away the reasons it would have taken away. Everything due by `decided` had been decided."""
        core: Core = record.part("core")
        for rule in self._rules.values():
            if rule.kind not in ("absence", "threshold") or not record.has(rule.part):
                continue
            mine: Patterns = record.part(rule.part)
            if rule.kind == "absence":
                patterns.settle(mine, decided - rule.wait - self._grace, rule.basket)
                self._plan(core, rule, mine)
            else:
                self._ended(record, core, rule, mine, (), decided)
        self.cancel(record, decided, cause, decided)

    def _decide(self, record: Record, rule: Rule, mine: Any, reason: Reason, watermark: int) -> None:
        try:
            effect = decide(self._playbook, rule, record, mine, reason, watermark, self.arrived)
        except Exception as error:
            self._fail(record, rule, mine, reason, error)
            return
        if effect is not None:
            self.effects.append(effect)

    def _fail(self, record: Record, rule: Rule, mine: Patterns, reason: Reason, error: Exception) -> None:
        self.effects += failed(self._playbook, rule, record, mine, reason, self.arrived, error)

    def _give_up(self, record: Record, rule: Rule, at: int, error: Exception) -> None:
        """What is open of a rule makes its timer raise: put it aside, or it would for ever."""
        core: Core = record.part("core")
        core.alarms.pop(rule.name, None)
        part = record.remove(rule.part)
        self.effects.append(effects.dead_part(record.id, rule.name, at, self.arrived, error, part))

    def _plan(self, core: Core, rule: Rule, mine: Patterns) -> None:
        """When this rule's next absence is due."""
        since = [p.since for p in mine.keys.values() if patterns.is_open(mine, p, rule.basket)]
        if since:
            core.alarms[rule.name] = min(since) + rule.wait + self._grace
        else:
            core.alarms.pop(rule.name, None)


def alarm_of(core: Core) -> int:
    """The customer's first alarm, -1 for none."""
    first = -1
    for due in core.alarms.values():
        if first < 0 or due < first:
            first = due
    return first


def _reached(mine: Patterns, pattern: Pattern) -> bool:
    return pattern.fired > max(pattern.until, mine.until, pattern.below)
