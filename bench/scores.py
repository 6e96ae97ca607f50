"""`python -m bench.scores`: what a score costs in the customer step, in µs of CPU time, the best of many.

First how long it takes here to count to a thousand, to compare machines by. Then, for a customer of the
retail playbook with seven orders: the model alone, the playbook's features that it is told, and all
that happens when an event or time asks for a score, alarm and rules included.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from time import process_time

from flows.playbooks import retail
from operators import playbook
from operators.churn import customer
from operators.churn.statistics import DAY
from operators.events import Deal, Reader
from operators.facts import feature_values
from operators.features import add
from operators.intents import Intents
from operators.records import Record
from operators.scores import PART, Scores

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


def main() -> None:
    book = playbook.load(retail())
    assert book.churn is not None
    definition = book.churn.definition
    record, intents, scores, reader = Record("c-1"), Intents(book), Scores(book), Reader(book)
    core = record.part("core")
    for day in (0, 10, 25, 60, 61, 90, 120):
        _, form, row, _, _, _, _ = reader.read(ORDER, day * DAY, "shop.web/0")
        assert row is not None
        add(record.part("m"), book.plan, form, row)
        core.last_seen = day * DAY
        scores.event(intents, record, core, Deal(True, 2_050), day * DAY, "m", -1)
    churn = record.part(PART)
    core.alarms.clear()
    now = core.last_seen

    def model() -> None:
        nonlocal now
        now += 60_000
        customer.score(churn, record.id, now, (1.0, 0.0, 0.0, 0.0), scores.scorer(now), definition)

    def told() -> None:
        feature_values(book, record, definition.more, now)

    def everything(scores: Scores = scores) -> None:
        nonlocal now
        now += 60_000
        scores.event(intents, record, core, Deal(False, 0), now, "m", now)

    bare = Scores(book._replace(churn=book.churn._replace(definition=definition._replace(more=()))))

    gc.collect()
    gc.freeze()
    for name, what in (
        ("count to 1,000", lambda: sum(1 for _ in range(1_000))),
        ("the model alone", model),
        (f"{len(definition.more)} features for it", told),
        ("all of it", everything),
        ("without features", lambda: everything(bare)),
    ):
        print(f"{name:>20} {best(what):8.1f}")


if __name__ == "__main__":
    main()
