"""The topology of oncue on one page.

Kafka: channel topics | moves, control, models
    sequence   one order per scope: cut -> `order` topic -> batch of (header, raw event)
    resolve    one, beside its source: identifiers -> customer; orders moves on a merge
    pack       one pack per customer shard; every cut reaches every shard
    history    where the playbook wants it: keyed by shard of leaves: every event, appended
    customer   keyed by shard: de-duplicate, decode, features, timers, triggers, guards -> effects
    route      effects to the sink partition that owns their key
    sink       triggers | decisions | dead-letters | identities | ledger | moves | control
"""

from __future__ import annotations

from zlib import crc32

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.history import History
from flows.settings import Run
from flows.sink import Caused, Sink
from flows.source import Source
from flows.steps import Customer, Resolve
from flows.telling import telling
from operators.effects import Effect
from operators.history import by_leaf
from operators.operations import Pack
from schemas import topics


def topology(run: Run) -> Dataflow:
    """The dataflow of one scope."""
    shard_keys = run.shard_keys
    partitions = run.playbook.engine.partitions

    def pack(packs: tuple[str, list[Pack]]) -> list[tuple[str, Pack]]:
        return list(zip(shard_keys, packs[1], strict=True))

    def share(packs: tuple[str, list[Pack]]) -> list[tuple[str, Pack]]:
        return list(zip(run.history_keys, by_leaf(packs[1]), strict=True))

    def route(caused: tuple[str, Caused]) -> list[tuple[str, Caused]]:
        cut, effects = caused[1]
        found: dict[str, list[Effect]] = {}
        for effect in effects:
            owner = 0 if topics.OUTPUTS[effect.topic].single else crc32(effect.key.encode()) % partitions
            found.setdefault(str(owner), []).append(effect)
        return [(owner, (cut, mine)) for owner, mine in found.items()]

    flow = Dataflow("oncue")
    cuts = op.input("sequence", flow, Source(run))
    resolved = op.stateful_batch("resolve", cuts, lambda token: telling(run, lambda: Resolve(run, token)))
    if run.playbook.history:
        leaves = op.flat_map("share", resolved, share)
        fills = op.stateful_batch("history", leaves, lambda token: telling(run, lambda: History(run, token)))
    packs = op.flat_map("pack", resolved, pack)
    effects = op.stateful_batch("customer", packs, lambda token: telling(run, lambda: Customer(run, token)))
    if run.playbook.history:
        effects = op.merge("effects", effects, fills)
    routed = op.flat_map("route", effects, route)
    op.output("sink", routed, Sink(run))
    return flow
