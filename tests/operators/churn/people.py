"""A generated shop: some buy often, some stop, all decided by a seed."""

from __future__ import annotations

from random import Random

from operators.churn import customer, scoring
from operators.churn.customer import ChurnKeeper
from operators.churn.definition import Definition
from operators.churn.parts import Churn
from operators.churn.statistics import DAY
from schemas.churn import Example

MONTH = Definition(
    on=frozenset({"Order Completed"}), value="", horizon=30 * DAY, every=7 * DAY, apart=7 * DAY
)
MONTHLY = ChurnKeeper(MONTH)


def shop(people: int, days: int, seed: int = 1, decline: int = 10**6) -> list[tuple[int, str, int]]:
    """(time, customer, value), by time. From day `decline` on it is the frequent that leave."""
    dice = Random(seed)
    log = []
    for number in range(people):
        gap = dice.choice([5, 12, 30, 60])
        leaves = dice.random() * days * 1.5
        if gap <= 12:
            leaves = min(leaves + days, decline)
        day = dice.random() * days * 0.5
        while day < min(days, leaves):
            log.append((int(day * DAY), f"c{number}", dice.randint(500, 5_000)))
            day += dice.expovariate(1 / gap)
    return sorted(log)


def examples(
    log: list[tuple[int, str, int]], definition: Definition = MONTH, until: int = 0
) -> list[Example]:
    """What the learner is told of a log, in order, when all are scored every week by the rule."""
    keeper = ChurnKeeper(definition)
    churns: dict[str, Churn] = {}
    found: list[Example] = []
    place = 0
    end = until or log[-1][0]
    for at in range(7 * DAY, end, 7 * DAY):
        while place < len(log) and log[place][0] <= at:
            time, who, value = log[place]
            keeper.bought(churns.setdefault(who, customer.empty()), time, value)
            place += 1
        for churn in churns.values():
            found += keeper.examples(churn, at)
        for who, churn in churns.items():
            keeper.score(churn, who, at, (), scoring.rule())
    return sorted(found, key=lambda example: (example.known_at, example.customer))
