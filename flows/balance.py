"""Does the ledger balance? Read from the `ledger` topic, by somebody who did not write it."""

from __future__ import annotations

from typing import Any, NamedTuple

from flows import tail
from operators.counts import NAMES, OUTCOMES
from operators.playbook import Playbook
from schemas import topics


class Balance(NamedTuple):
    """`totals`: per source topic what came in and what became of it, up to and including `cut`;
    `conflicting` are those accepted whose message id had come with another payload. `balanced` is None, and
    `cut` -1, before there is a report."""

    cut: int
    totals: dict[str, dict[str, int]]
    balanced: bool | None


def balance(playbook: Playbook, brokers: str) -> Balance:
    """Of the newest cut for which every shard has reported."""
    by_cut: dict[int, dict[str, Any]] = {}
    for record in tail.follow(brokers, [topics.output(playbook.scope, topics.LEDGER)], until_end=True):
        if record:
            body = record["body"]
            by_cut.setdefault(body["cut"], {})[body["shard"]] = body["counts"]
    complete = [cut for cut, shards in by_cut.items() if len(shards) == playbook.engine.shards + 1]
    if not complete:
        return Balance(-1, {}, None)
    cut = max(complete)
    shards = by_cut[cut]
    totals = {
        topic: {"in": counts["in"], **dict.fromkeys(NAMES[1:], 0)}
        for topic, counts in shards.pop("in").items()
    }
    for counts in shards.values():
        for topic, mine in counts.items():
            for name in NAMES[1:]:
                totals[topic][name] += mine[name]
    good = all(row["in"] == sum(row[outcome] for outcome in OUTCOMES) for row in totals.values())
    return Balance(cut, totals, good)
