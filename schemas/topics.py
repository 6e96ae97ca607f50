"""Topic names, keys and settings: part of the contract, see README, "Topics"."""

from __future__ import annotations

from typing import NamedTuple

TRIGGERS, DECISIONS, DEAD_LETTERS, IDENTITIES, LEDGER, MOVES, CONTROL, PROFILES = range(8)
CHURN_EXAMPLES, INTENT_EXAMPLES = range(8, 10)
EXAMPLES = {"churn": CHURN_EXAMPLES, "intent": INTENT_EXAMPLES}  # by what is foretold


class Output(NamedTuple):
    """One output topic. `keyed_by` says what its record key is; `single` topics use partition 0 only.
    `section`: of the playbook, without which there is no such topic."""

    name: str
    keyed_by: str
    single: bool
    settings: dict[str, str]
    section: str = ""

    @property
    def compacted(self) -> bool:
        """Only the newest record of a key is sure to be there."""
        return self.settings.get("cleanup.policy") == "compact"


_KEEP = {"retention.ms": str(30 * 86_400_000)}
LARGEST = (
    16 * 1024 * 1024
)  # bytes; a dead letter is a third larger than its event, a move is a whole customer
_LARGE = {"max.message.bytes": str(LARGEST)}
_COMPACT = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(30 * 86_400_000)}

OUTPUTS = (
    Output("triggers", "customer id", False, {"retention.ms": str(7 * 86_400_000)}),
    Output("decisions", "customer id", False, {"retention.ms": str(30 * 86_400_000)}),
    Output("dead-letters", "topic/partition/offset, or customer id, or move", False, _KEEP | _LARGE),
    Output("identities", "customer id", False, {"retention.ms": "-1"}),
    Output("ledger", "shard", False, _KEEP),
    Output("moves", "surviving customer id", False, _KEEP | _LARGE),
    Output("control", "command", True, {"retention.ms": "-1"}),
    Output("profiles", "customer id", False, _COMPACT),
    *(
        Output(f"{subject}-examples", "customer id, or `command`", True, {"retention.ms": "-1"}, subject)
        for subject in EXAMPLES
    ),
)


class Reference(NamedTuple):
    """A topic of reference data. `keyed_by` says what its record key is."""

    name: str
    keyed_by: str
    settings: dict[str, str]


# Compaction would leave the newest price only; a replay needs the price of the moment.
_HISTORY = {"cleanup.policy": "delete", "retention.ms": "-1"}
REFERENCE = (
    Reference("products", "product_id", _HISTORY),
    Reference("prices", "product_id", _HISTORY),
    Reference("stock", "product_id, or product_id/store_id", _HISTORY),
    Reference("stores", "store_id", _HISTORY),
    Reference("content", "content_id", _HISTORY),
)


class Learning(NamedTuple):
    """A topic that the learning flow writes; all is in partition 0, because the order counts."""

    name: str
    keyed_by: str
    settings: dict[str, str]


LEARNING = (
    # A run that is repeated from its order takes the models that it took then: they must be there that long.
    Learning(
        "models", "subject/version", _COMPACT | {"min.compaction.lag.ms": str(400 * 86_400_000)} | _LARGE
    ),
    Learning("model-metrics", "subject/version", {"retention.ms": "-1"}),
)
ORDER = "order"
EVENT_KEY = "the sender's choice; an anonymous or user id keeps one customer's events in order"
ORDER_SETTINGS = {"retention.ms": "-1", "message.timestamp.type": "LogAppendTime"}


def output(scope: str, code: int) -> str:
    """Full name of an output topic, such as `shop.triggers`."""
    return f"{scope}.{OUTPUTS[code].name}"


def reference(scope: str, name: str) -> str:
    """Full name of a topic of reference data, such as `shop.prices`."""
    return f"{scope}.{name}"


def learning(scope: str, name: str) -> str:
    """Full name of a topic of the learning flow, such as `shop.models`."""
    return f"{scope}.{name}"


def examples(scope: str, subject: str) -> str:
    """Full name of the topic of a subject's examples, such as `shop.churn-examples`."""
    return output(scope, EXAMPLES[subject])


def order(scope: str) -> str:
    return f"{scope}.{ORDER}"


def published() -> dict[str, dict[str, str]]:
    """Address, record key and clean-up of every topic that others read or write."""
    internal = (MOVES, CONTROL, *EXAMPLES.values())
    return {
        "events": {"address": "{scope}.{source}", "key": EVENT_KEY, "cleanup": "delete"},
        **{
            it.name: {"address": reference("{scope}", it.name), "key": it.keyed_by, "cleanup": "compact"}
            for it in REFERENCE
        },
        **{
            it.name: {
                "address": output("{scope}", code),
                "key": it.keyed_by,
                "cleanup": "compact" if it.compacted else "delete",
            }
            for code, it in enumerate(OUTPUTS)
            if code not in internal
        },
    }
