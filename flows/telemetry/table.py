"""Every metric there is. What is not in this table is not emitted; docs/metrics.md is made from it.

Names and attributes follow OpenTelemetry's semantic conventions (`messaging.*`, `process.*`), and are
`oncue.*` where those have none. Units are UCUM codes, `{event}` and the like say what is counted.

`python -m flows.telemetry.table` prints docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
Where = Literal["run", "learn", "supervisor"]

# Seconds. From what a fast step takes to what nobody should have to wait for.
BOUNDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip


class Metric(NamedTuple):
    """`where` names the commands that emit it: `oncue run` (a worker), `oncue learn`, and the supervisor
    of `oncue run --workers N`. A counter counts since its process began."""

    name: str
    unit: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str
    where: tuple[Where, ...] = ("run",)


TOPIC, PARTITION = "messaging.destination.name", "messaging.destination.partition.id"
SOURCE, OUTCOME, STEP, QUEUE, CACHE = (
    "oncue.source", "oncue.outcome", "oncue.step", "oncue.queue", "oncue.cache",
)  # fmt: skip
RULE, REASON, STAGE, CHANGE, SUBJECT, MODEL = (
    "oncue.rule", "oncue.reason", "oncue.stage", "oncue.change", "oncue.subject", "oncue.model",
)  # fmt: skip
_BOTH: tuple[Where, ...] = ("run", "learn")

METRICS = (
    # What comes in
    Metric("messaging.client.consumed.messages", "{message}", "counter", (TOPIC,),
           "Records taken from a topic, internal ones included", _BOTH),
    Metric("oncue.events", "{event}", "counter", (SOURCE, OUTCOME),
           "Events and reference data by what became of them: `accepted`, `duplicate` or `dead_lettered`"),
    Metric("oncue.events.conflicting", "{event}", "counter", (SOURCE,),
           "Accepted events whose message id had come before with another payload"),
    Metric("oncue.events.held", "{event}", "gauge", (SOURCE,),
           "Events that wait for a merged customer's state to arrive from another shard"),
    Metric("oncue.consumer.lag", "{message}", "gauge", (TOPIC, PARTITION),
           "Offsets between the end of a partition, as last heard from the broker, and what is in the order",
           _BOTH),
    Metric("oncue.backlog.age", "s", "gauge", (),
           "How long ago the newest record in the order had come to the broker, while more wait; else 0"),
    Metric("oncue.watermark.lag", "s", "gauge", (TOPIC, PARTITION),
           "Event time by which a partition is behind the newest event of all: who holds back the watermark"),
    Metric("oncue.watermark.age", "s", "gauge", (),
           "Wall clock minus the scope's watermark: how late what waits for time to pass is decided"),
    Metric("oncue.ledger.imbalance", "{event}", "gauge", (SOURCE,),
           "Received minus accepted, duplicate, dead-lettered and held, over the shards of this process; "
           "anything but 0 is a defect"),
    # The order and the steps
    Metric("oncue.cuts", "{cut}", "counter", (), "Cuts released to the steps, repeated ones included"),
    Metric("oncue.order.latency", "s", "histogram", (),
           "From appending a cut to the order to the broker's acknowledgement"),
    Metric("oncue.step.duration", "s", "histogram", (STEP,),
           "One call of a step, on one batch; turns of `sequence` that find nothing are left out"),
    Metric("oncue.queue.size", "{item}", "gauge", (QUEUE,),
           "`prefetched`: records that wait for a cut; `outgoing`: records that wait for a transaction; "
           "`unwritten`: changed values that wait to be written to the state; `moves`: customers under way "
           "between shards"),
    # Epochs and state
    Metric("oncue.epoch.duration", "s", "histogram", (), "From one epoch's close to the next one's"),
    Metric("oncue.epoch.pause", "s", "histogram", (),
           "All snapshots of an epoch in this process together: for so long nothing is decided here"),
    Metric("oncue.epoch.limit", "{event}", "gauge", (),
           "Events that flow control lets into one epoch; it falls when an epoch drains too slowly"),
    Metric("oncue.checkpoint.duration", "s", "histogram", (STEP,), "One step's snapshot, one shard's"),
    Metric("oncue.checkpoint.size", "By", "gauge", (STEP,), "Newest checkpoints of this process's shards"),
    Metric("oncue.state.size", "By", "gauge", (STEP,),
           "On disk: live databases and all checkpoints of this process's shards, shared files once"),
    Metric("oncue.backup.age", "s", "gauge", (),
           "Age of the newest backup that `--backup` made; before the first, since it was wanted"),
    Metric("oncue.backup.duration", "s", "histogram", (), "One backup, from its point to its last file"),
    Metric("oncue.backup.sent", "By", "counter", (), "Bytes of files that the place did not have yet"),
    Metric("oncue.backup.failures", "{backup}", "counter", (), "Backups that could not be made"),
    Metric("oncue.cache.requests", "{request}", "counter", (CACHE,),
           "Operations on `customers`, events for `identifiers`; the hit rate is 1 - misses / requests"),
    Metric("oncue.cache.misses", "{request}", "counter", (CACHE,),
           "Values that had to be read from the state: `customers`, `identifiers`, `clusters`, `reference`"),
    Metric("oncue.cache.entries", "{entry}", "gauge", (CACHE,), "Decoded values in memory"),
    # What goes out
    Metric("messaging.client.sent.messages", "{message}", "counter", (TOPIC,),
           "Records given to a transaction, or published by the learner", _BOTH),
    Metric("oncue.records.repeated", "{record}", "counter", (),
           "Records that were not sent again after a restart, because they were there"),
    Metric("oncue.transaction.duration", "s", "histogram", (),
           "One Kafka transaction, from its first record to the end of its commit"),
    Metric("oncue.triggers", "{trigger}", "counter", (RULE,), "Triggers sent"),
    Metric("oncue.triggers.cancelled", "{trigger}", "counter", (RULE, REASON), "Triggers called off"),
    Metric("oncue.trigger.latency", "s", "histogram", (RULE,),
           "From the arrival of the cause at the broker to the hand-over of the trigger"),
    Metric("oncue.decisions", "{decision}", "counter", (RULE, REASON),
           "Candidates held back, merges refused (rule `identity`), conflicting repeats (rule `dedupe`)"),
    Metric("oncue.dead_letters", "{record}", "counter", (STAGE, REASON), "Dead letters sent"),
    Metric("oncue.identity.changes", "{change}", "counter", (CHANGE,),
           "Customers `merged`, `split` again, and merges `blocked` by policy"),
    # Models
    Metric("oncue.model.auc", "1", "gauge", (SUBJECT, MODEL),
           "Area under the ROC curve of each contestant, over all labels so far", ("learn",)),
    Metric("oncue.model.log_loss", "{nat}", "gauge", (SUBJECT, MODEL),
           "Log loss, in the newest report", ("learn",)),
    Metric("oncue.model.calibration_error", "1", "gauge", (SUBJECT, MODEL),
           "Likewise the expected calibration error", ("learn",)),
    Metric("oncue.model.drifts", "{drift}", "counter", (SUBJECT, MODEL),
           "Times that a contestant's loss was found to have changed (ADWIN)", ("learn",)),
    Metric("oncue.model.labels", "{label}", "gauge", (SUBJECT,), "Labels learnt from so far", ("learn",)),
    Metric("oncue.model.champion", "{model}", "gauge", (SUBJECT, MODEL),
           "1 for the contestant whose models are published, 0 for the others", ("learn",)),
    # The process
    Metric("oncue.ready", "{process}", "gauge", (), "1 while /readyz answers 200, else 0",
           ("run", "learn", "supervisor")),
    Metric("oncue.worker.restarts", "{restart}", "counter", (REASON,),
           "Restarts of all workers by their supervisor, by what ended the first", ("supervisor",)),
    Metric("process.cpu.time", "s", "counter", ("cpu.mode",), "Processor time, `user` and `system`", _BOTH),
    Metric("process.memory.usage", "By", "gauge", (), "Resident memory", _BOTH),
    Metric("process.unix.file_descriptor.count", "{file_descriptor}", "gauge", (), "Open files", _BOTH),
    Metric("process.thread.count", "{thread}", "gauge", (), "Threads, those of Kafka and RocksDB included",
           _BOTH),
    Metric("process.uptime", "s", "gauge", (), "Since the process began", _BOTH),
)  # fmt: skip

_SUFFIX = {"s": "_seconds", "By": "_bytes", "1": "_ratio"}


def prometheus(metric: Metric) -> str:
    """The name of the metric's family, by OpenTelemetry's rules for Prometheus.

    >>> prometheus(Metric("oncue.state.size", "By", "gauge", (), ""))
    'oncue_state_size_bytes'
    >>> prometheus(Metric("oncue.events", "{event}", "counter", (), ""))
    'oncue_events_total'
    """
    suffix = _SUFFIX.get(metric.unit, "") + ("_total" if metric.kind == "counter" else "")
    return label(metric.name) + suffix


def label(name: str) -> str:
    """A label's name in Prometheus.

    >>> label("oncue.rule")
    'oncue_rule'
    """
    return name.replace(".", "_")


def series() -> dict[str, tuple[str, ...]]:
    """Every name that a query may use, with its labels; of a histogram those of its parts. `oncue_scope`
    is a label of all, `oncue_worker` of those that a supervisor passes on."""
    found: dict[str, tuple[str, ...]] = {}
    for metric in METRICS:
        name = prometheus(metric)
        labels = ("oncue_scope", "oncue_worker", *map(label, metric.labels))
        if metric.kind == "histogram":
            found |= {f"{name}_bucket": (*labels, "le"), f"{name}_sum": labels, f"{name}_count": labels}
        else:
            found[name] = labels
    return found


def unknown(names: Iterable[str]) -> list[str]:
    """Those of the names, in Prometheus' form, that no run emits: for checks of dashboards and alerts."""
    known = series()
    return sorted(name for name in set(names) if name not in known)


_PAGE = """# Metrics

Made from the table in `flows/telemetry/table.py` by `python -m flows.telemetry.table`; a test holds the two
together. [Telemetry](telemetry.md) says how to get at them.

The first name is the one in OTLP, the second the one in Prometheus; a histogram there is `_bucket`, `_sum`
and `_count`. Every series has the label `oncue_scope` (in OTLP the resource attribute `oncue.scope`), for a
replay of `shop` `shop.replay`; with `--workers N` also `oncue_worker`, the number of the process. Counters
begin at 0 with the process. Labels are written as in OTLP; in Prometheus dots become underscores.
"""
_WHERE = {
    ("run",): "", ("run", "learn"): "also of `oncue learn`", ("learn",): "of `oncue learn`",
    ("run", "learn", "supervisor"): "of all", ("supervisor",): "of the supervisor of `--workers N`",
}  # fmt: skip


def page() -> str:
    """docs/metrics.md."""
    rows = ["| metric | unit, kind | labels | meaning |", "|---|---|---|---|"]
    for it in METRICS:
        labels = ", ".join(f"`{name}`" for name in it.labels) or "-"
        where = f" ({_WHERE[it.where]})" if _WHERE[it.where] else ""
        rows.append(
            f"| `{it.name}`<br>`{prometheus(it)}` | `{it.unit}`, {it.kind} | {labels} | {it.meaning}{where} |"
        )
    return _PAGE + "\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(page(), end="")
