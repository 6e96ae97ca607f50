"""`oncue customer`: who somebody is and what oncue knows, from the newest checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from flows.steps import META
from operators import patterns, playbook, records
from operators.counts import Counts
from operators.identifiers import TYPES, Identifiers
from operators.identity import Cluster
from operators.playbook import Playbook
from operators.resolve import shard_of
from operators.triggers import feature_value
from state import reading
from state.errors import StateError

_about = msgspec.msgpack.Decoder(tuple[Counts, int]).decode
_cluster = msgspec.msgpack.Decoder(Cluster).decode


def scope_of(state: Path, scope: str | None = None) -> Path:
    """The scope's folder in a state directory. Raises StateError when there is none, or several."""
    found = [path.parent for path in state.glob("*/oncue.json") if scope in (None, path.parent.name)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        what = f"several scopes, {names}: choose one with --scope" if found else "no state of oncue"
        raise StateError(f"{state} holds {what}")
    return found[0]


def customer(root: Path, key: str, at: int | None = None) -> dict[str, Any] | None:
    """Everything about the customer that `key` (any identifier, or a customer id) belongs to.

    Features are as of `at`, by default the watermark of the checkpoint. None when nobody has the key.
    """
    book = playbook.load((root / "playbook.yaml").read_text())
    with reading.newest(root / "resolve") as graph:
        if graph is None:
            return None
        customer_id = _find(graph, key, book)
        if customer_id is None:
            return None
        raw = graph.get(b"c" + customer_id.encode())
        cluster = _cluster(raw) if raw else Cluster(-1, [])
    shard = shard_of(customer_id, book.engine.shards)
    with reading.newest(root / f"shard-{shard:02d}") as database:
        stored = database.get(b"c" + customer_id.encode()) if database is not None else None
        about = database.get(META) if database is not None else None
    record = records.decode(customer_id, stored) if stored else records.Record(customer_id)
    watermark = _about(about)[1] if about else -1  # this shard's first checkpoint may be still to come
    now = watermark if at is None else at
    core: records.Core = record.part("core")
    return {
        "customer": customer_id,
        "identifiers": sorted(cluster.members),
        "first_seen": core.first_seen,
        "last_seen": core.last_seen,
        "as_of": now,
        "features": {name: feature_value(book, record, name, now) for name in book.features},
        "consents": {name: granted for name, (_, granted) in sorted(core.consents.items())},
        "cooldowns": dict(sorted(core.cooldowns.items())),
        "open": _open(book, record),
        "waiting_for_move": record.part("queue").waiting if record.has("queue") else 0,
    }


def _open(book: Playbook, record: records.Record) -> list[dict[str, Any]]:
    """Absences that are still to be decided."""
    found = []
    for rule in book.rules.values():
        if rule.kind != "absence" or not record.has(f"p:{rule.name}"):
            continue
        mine: patterns.Patterns = record.part(f"p:{rule.name}")
        for key, pattern in mine.keys.items():
            if patterns.is_open(mine, pattern, rule.basket):
                found.append({"rule": rule.name, "key": key, "due": pattern.since + rule.wait})
    return found


def _find(graph: Any, key: str, book: Playbook) -> str | None:
    for name in _names(key, book):
        owner = graph.get(b"o" + name.encode())
        if owner is not None:
            return str(owner.decode())
    while (into := graph.get(b"r" + key.encode())) is not None:
        key = into.decode()
    return key if graph.get(b"c" + key.encode()) is not None else None


def _names(key: str, book: Playbook) -> list[str]:
    """The identifier keys that a person may mean by `key`: as written, or as a value of any type."""
    identifiers = Identifiers(book.policies, book.region)
    email = identifiers.email_key(key)
    return [key, *(f"{kind}:{key}" for kind in TYPES), f"loyalty:{key.upper()}", *([email] if email else [])]
