"""`python -m bench.scores`: what a score costs in the customer step, in µs of CPU time, the best of many.

First how long it takes here to count to a thousand, to compare machines by. Then, for a customer of the
retail playbook with seven orders: the model of churn alone, the playbook's features that it is told, and all
that happens when an event or time asks for a score, alarm and rules included. Then the same of purchase
intent, for a visitor who looks, puts into the cart and looks again, with a model of curves as it is learnt;
and what a signal costs that asks for no score.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time

from flows.playbooks import retail
from operators import playbook
from operators.churn.curved import KNOTS
from operators.churn.customer import ChurnKeeper
from operators.churn.definition import PURCHASE, RESCORE
from operators.churn.parts import Fitted
from operators.churn.scoring import Curves, Scorer
from operators.churn.statistics import DAY
from operators.events import Reader
from operators.facts import feature_values, newest_score
from operators.features import add
from operators.intent.definition import Definition
from operators.intents import Intents
from operators.playbook import Playbook
from operators.records import Record
from operators.scores import Foresight, Scores

ROUNDS, TIMES = 15, 2_000
ORDER = b"""{"type": "track", "messageId": "m", "userId": "u", "event": "Order Completed", "properties":
{"order_id": "o", "total": 20.5, "products": [{"product_id": "p1", "price": 20.5, "quantity": 1}]}}"""


def best(what: Callable[[], object]) -> float:
    found = 9e9
    for _ in range(ROUNDS):
        began = process_time()
        for _ in range(TIMES):
            what()
        found = min(found, (process_time() - began) / TIMES * 1e6)
    return found


Measured = list[tuple[str, Callable[[], object]]]


def churn(book: Playbook) -> Measured:
    foretold = book.foretold["churn"]
    definition, keeper = foretold.definition, foretold.keeper
    record, intents, scores, reader = Record("c-1"), Intents(book), Scores(book, "churn"), Reader(book)
    core = record.part("core")
    for day in (0, 10, 25, 60, 61, 90, 120):
        _, form, row, _, _, _, _ = reader.read(ORDER, day * DAY, "shop.web/0")
        assert row is not None
        add(record.part("m"), book.plan, form, row)
        core.last_seen = day * DAY
        scores.event(intents, record, core, PURCHASE, day * DAY, "m", -1)
    part = record.part("churn")
    core.alarms.clear()
    now = core.last_seen

    def model() -> None:
        nonlocal now
        now += 60_000
        keeper.score(part, record.id, now, (1.0, 0.0, 0.0, 0.0), scores.served.scorer(now))

    def told() -> None:
        feature_values(book, record, definition.more, now)

    def everything(scores: Scores = scores) -> None:
        nonlocal now
        now += 60_000
        scores.event(intents, record, core, RESCORE, now, "m", now)

    bare_definition = definition._replace(more=())
    alone = foretold._replace(definition=bare_definition, keeper=ChurnKeeper(bare_definition))
    bare = Scores(book._replace(foretold={"churn": alone}), "churn")
    return [
        ("churn: the model alone", model),
        (f"{len(definition.more)} features for it", told),
        ("all of it", everything),
        ("without features", lambda: everything(bare)),
    ]


def intent(book: Playbook) -> Measured:
    foretold = book.foretold["intent"]
    definition, keeper = foretold.definition, foretold.keeper
    record, intents, foresight = Record("c-1"), Intents(book), Foresight(book)
    scores = foresight.scores["intent"]
    core, now = record.part("core"), 100 * DAY

    def event(step: int, what: str) -> None:
        nonlocal now
        now += step
        core.last_seen = now
        scores.event(intents, record, core, what, now, "m", now)

    for what in ("looks", "adds", "looks"):
        event(60_000, what)
    part = record.part("intent")
    curves = Scorer(curved(definition), Fitted())

    def model(scorer: Scorer) -> None:
        nonlocal now
        now += 60_000
        part.visits[-1].end = now
        keeper.score(part, record.id, now, (), scorer)

    return [
        ("intent: the rule alone", lambda: model(scores.served.scorer(now))),
        ("curves alone", lambda: model(curves)),
        ("a signal", lambda: event(60_000, "looks")),
        ("a question", lambda: newest_score(foresight.playbook, record, "intent", now)),
    ]


def curved(definition: Definition) -> Curves:
    """With all the knots that are learnt, and crosses with the three facts that are flags."""
    size = len(definition.inputs)
    bends = [(place, 0.5 * knot) for place in range(size) for knot in range(1, KNOTS + 1)]
    flags = [definition.inputs.index(it) for it in ("came_before", "ordered_before", "ordered_in_visit")]
    crosses = [(flag, number) for flag in flags for number in range(size)]
    weights = [0.01] * (size + len(bends) + len(crosses))
    return Curves(-3.0, weights, [0.0] * len(weights), size, bends, crosses)


def main() -> None:
    book = playbook.load(retail())
    measured = [*churn(book), *intent(book)]
    gc.collect()
    gc.freeze()
    print(f"{'count to 1,000':>26} {best(lambda: sum(1 for _ in range(1_000))):8.1f}")
    for name, what in measured:
        print(f"{name:>26} {best(what):8.1f}")


if __name__ == "__main__":
    main()
