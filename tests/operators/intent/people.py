"""Generated visitors: those who come back in the evening order, which no rule knows."""

from __future__ import annotations

from operators.intent import vector, visitor
from operators.intent.definition import Definition
from operators.intent.vector import DAY, HOUR
from operators.intent.visitor import IntentKeeper
from schemas.churn import Example

MINUTE = 60_000
SHOP = Definition(
    on=frozenset({"Order Completed"}),
    signals={
        "looks": frozenset({"Product Viewed"}),
        "adds": frozenset({"Product Added"}),
        "checkouts": frozenset({"Checkout Started"}),
    },
    horizon=DAY,
    gap=30 * MINUTE,
    apart=5 * MINUTE,
)


def examples(visitors: int, definition: Definition = SHOP) -> list[Example]:
    """What the learner is told of so many, one each half hour, in order."""
    found: list[Example] = []
    keeper = IntentKeeper(definition)
    rule = vector.rule(len(definition.signals))
    for number in range(visitors):
        at = number * HOUR // 2
        one = visitor.empty()
        for seen in (at - DAY, at) if number % 3 else (at,):
            keeper.saw(one, seen, "looks")
        keeper.score(one, f"v{number}", at, (), rule)
        if number % 3 and at % DAY > 16 * HOUR and number % 7:
            keeper.ordered(one, at + HOUR)
        found += keeper.examples(one, at + DAY)
    return found
