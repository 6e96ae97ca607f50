"""What is foretold of customers: one machinery, several subjects.

A subject is a section of the playbook, a part of a customer's record and a keeper of the part, all of one
name. What a learner must know of it is in `operators/churn/subject.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from operators.churn import customer
from operators.churn.customer import ChurnKeeper
from operators.churn.definition import Terms
from operators.churn.keeper import Keeper
from operators.churn.parts import Churn
from operators.churn.subject import Subject
from operators.intent import visitor
from operators.intent.parts import Visitor
from operators.intent.visitor import IntentKeeper
from operators.served import Served


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

    definition: Any  # a Definition; its keeper knows which
    contestants: tuple[str, ...]
    champion: str
    terms: Terms
    served: Served
    keeper: Keeper


KEEPERS: dict[str, Callable[[Any], Keeper]] = {"churn": ChurnKeeper, "intent": IntentKeeper}
KINDS: dict[str, type[Any]] = {"churn": Churn, "intent": Visitor}
EMPTY: dict[str, Callable[[], Any]] = {"churn": customer.empty, "intent": visitor.empty}
# Whether the newest score is no longer what the last profile said, or would have; and to note that it is.
TOLD = {"churn": (customer.untold, customer.told)}
