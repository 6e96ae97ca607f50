"""What is foretold of customers: one machinery, several subjects.

A subject is a section of the playbook, a part of a customer's record and a module that keeps the part, all
of one name. What a learner must know of it is in `operators/churn/subject.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from operators.churn import customer
from operators.churn.definition import Terms
from operators.churn.parts import Churn
from operators.churn.scoring import Scorer
from operators.churn.subject import Subject
from operators.intent import visitor
from operators.intent.parts import Visitor
from operators.served import Served
from schemas.churn import Example


class Definition(Protocol):
    """What every definition of a subject says. Durations in ms; `every`: customers are scored so long after
    their last score, 0: never because of time alone; `inputs`: the names of a model's."""

    @property
    def horizon(self) -> int: ...
    @property
    def every(self) -> int: ...
    @property
    def more(self) -> tuple[str, ...]: ...
    @property
    def inputs(self) -> tuple[str, ...]: ...
    @property
    def words(self) -> dict[str, tuple[str, str]]: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def subject(self) -> Subject: ...
    def means(self, event: str, /) -> Any: ...


class Foretold(NamedTuple):
    """A subject's section of the playbook, compiled. `served`: the models that score; every shard has its
    own."""

    definition: Any  # a Definition; its part's module knows which
    contestants: tuple[str, ...]
    champion: str
    terms: Terms
    served: Served


class Score(Protocol):
    """The newest of a customer, as of `at` (ms), by version `version` of the model (0: the rule)."""

    @property
    def at(self) -> int: ...
    @property
    def probability(self) -> float: ...
    @property
    def reasons(self) -> tuple[str, ...]: ...
    @property
    def version(self) -> int: ...


class Part(Protocol):
    """What is done with the part of a record: see `operators/churn/customer.py`."""

    def empty(self) -> Any: ...
    def begins(self, what: Any, /) -> bool: ...
    def happened(self, part: Any, at: int, what: Any, definition: Any, /) -> bool: ...
    def eligible(self, part: Any, at: int, definition: Any, /) -> bool: ...
    def due(self, part: Any, definition: Any, /) -> int: ...
    def again(self, part: Any, now: int, definition: Any, /) -> bool: ...
    def last(self, part: Any, /) -> int: ...
    def ask(self, part: Any, at: int, definition: Any, /) -> bool: ...
    def score(
        self, part: Any, owner: str, at: int, more: Sequence[float], scorer: Scorer, definition: Any, /
    ) -> Score: ...
    def newest(
        self, part: Any, served: Served, more: Callable[[int], Sequence[float]], definition: Any, /
    ) -> Score | None: ...
    def is_news(self, part: Any, score: Any, /) -> bool: ...
    def told(self, part: Any, /) -> None: ...
    def forget(self, part: Any, /) -> None: ...
    def examples(self, part: Any, now: int, definition: Any, /) -> list[Example]: ...
    def merge(self, mine: Any, theirs: Any, definition: Any, /) -> None: ...


PARTS: dict[str, Part] = {"churn": customer, "intent": visitor}
KINDS: dict[str, type[Any]] = {"churn": Churn, "intent": Visitor}
