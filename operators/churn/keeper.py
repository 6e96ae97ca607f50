"""What is done with the part of a customer's record that is about one subject."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from operators.churn.parts import Snapshot
from operators.churn.scoring import Scorer
from operators.served import Served
from schemas.churn import Example


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


More = Callable[[int], Sequence[float]]  # the features that are facts besides, at a moment (ms)


class Keeper:
    """Keeps the parts of one subject, by its definition. Times in ms. One class for each subject, so that
    what is compiled calls its methods directly."""

    def begins(self, what: Any) -> bool:
        """Whether an event, which is `what` to the subject, is a reason to keep anything of somebody of whom
        nothing is kept yet."""
        raise NotImplementedError

    def happened(self, part: Any, at: int, what: Any) -> bool:
        """Count an event at `at`; whether it asks for a score at once."""
        raise NotImplementedError

    def eligible(self, part: Any, at: int) -> bool:
        """Whether there is something to score at `at`."""
        raise NotImplementedError

    def due(self, part: Any) -> int:
        """When time alone next asks for something: a score or a label; -1: never."""
        raise NotImplementedError

    def again(self, part: Any, now: int) -> bool:
        """Whether it is so long since the last score that time alone asks for one."""
        raise NotImplementedError

    def last(self, part: Any) -> int:
        """As of when they were scored last, -1: never, or what was said is over."""
        raise NotImplementedError

    def ask(self, part: Any, at: int) -> bool:
        """Note that something asks for a score as of `at`; whether it is to be found at once."""
        raise NotImplementedError

    def score(self, part: Any, owner: str, at: int, more: Sequence[float], scorer: Scorer) -> Score:
        """What the model says of the customer `owner` as of `at`, which is not before anything in their
        record: the caller takes the later of the due time and the newest event applied. Leaves a snapshot
        behind where one is due. Raises ValueError otherwise, because the snapshot would hold what its scoring
        time could not know."""
        raise NotImplementedError

    def newest(self, part: Any, served: Served, more: More) -> Score | None:
        """The newest score."""
        raise NotImplementedError

    def is_news(self, part: Any, score: Any) -> bool:
        """Whether a profile is to tell of this score, None for one that was not found yet."""
        raise NotImplementedError

    def forget(self, part: Any) -> None:
        """The newest score is not known any more."""
        raise NotImplementedError

    def release(self, part: Any, now: int) -> list[Snapshot]:
        """Take out the snapshots whose horizon has passed at `now`, the watermark."""
        raise NotImplementedError

    def example(self, one: Snapshot) -> Example:
        """A snapshot that was released, with its label, for the learner."""
        raise NotImplementedError

    def examples(self, part: Any, now: int) -> list[Example]:
        return [self.example(one) for one in self.release(part, now)]

    def merge(self, mine: Any, theirs: Any) -> None:
        """Two customers are one: take over all of `theirs`."""
        raise NotImplementedError
