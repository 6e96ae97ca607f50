"""`oncue customer`: who somebody is and what oncue knows, from the newest checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from flows import fixed
from flows import plan as planning
from flows.kept import META, MODELS, SHOWN
from flows.placing import place
from operators import patterns, profiles, records, told, yamlfile
from operators.counts import Counts
from operators.facts import feature_values
from operators.graph import Cluster, Evidence
from operators.identifiers import TYPES, Identifiers
from operators.identity import customer_id
from operators.parts import Core, Patterns
from operators.playbook import Playbook
from operators.resolve import shard_of
from operators.scores import Foresight
from operators.served import stored_models
from schemas.inbound import Traits
from state import reading
from state.errors import StateError

MONEY = ("sum", "mean", "min", "max", "first", "last")  # aggregates that are in the unit of their measure
_PHONE = re.compile(r"\s*([-+()./\d\s]+)\s+(\D.*)")
_shown = msgspec.msgpack.Decoder(dict[int, int]).decode
_about = msgspec.msgpack.Decoder(tuple[Counts, int]).decode
_cluster = msgspec.msgpack.Decoder(Cluster).decode
_evidence = msgspec.msgpack.Decoder(Evidence).decode

Edges = Callable[[str], Iterator[tuple[str, Evidence]]]  # an identifier -> those it was seen together with


def scope_of(state: Path, scope: str | None = None) -> Path:
    """The scope's folder in a state directory. Raises StateError when there is none, or several."""
    found = [path.parent for path in state.glob("*/oncue.json") if scope in (None, path.parent.name)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found)
        what = f"several scopes, {names}: choose one with --scope" if found else "no state of oncue"
        raise StateError(f"{state} holds {what}")
    return found[0]


def playbook_of(root: Path) -> Playbook:
    """The playbook that the scope at `root` was last started with; of a replay with the models it chose."""
    book = place(root, (root / "playbook.yaml").read_text())[0]
    return fixed.of(book, planning.read(root), root)


def customer(root: Path, key: str, at: int | None = None) -> dict[str, Any] | None:
    """Everything about the customer that `key` (any identifier, or a customer id) belongs to.

    Features are as of `at`, by default the watermark of the checkpoint. None when nobody has the key.
    """
    book = playbook_of(root)
    with reading.newest(root / "resolve") as graph:
        found = find(graph, key, book) if graph is not None else None
        if graph is None or found is None:
            return None
        found_by, customer_id = found
        raw = graph.get(b"c" + customer_id.encode())
        cluster = _cluster(raw) if raw else Cluster(-1, [])
        identifiers = linked(cluster, lambda key: _edges(graph, key))
        retired = _retired(graph, book, customer_id, cluster)
    shard = shard_of(customer_id, book.engine.shards)
    with reading.newest(root / f"shard-{shard:02d}") as database:
        stored = database.get(b"c" + customer_id.encode()) if database is not None else None
        about = database.get(META) if database is not None else None
        shown = database.get(SHOWN) if database is not None else None
        models = database.get(MODELS) if database is not None else None
    book = Foresight(book, stored_models(models)).playbook
    complete = _shown(shown) if shown else {}
    book.hidden.update(*(names for generation, names in book.later.items() if generation not in complete))
    record = records.decode(customer_id, stored) if stored else records.Record(customer_id)
    watermark = _about(about)[1] if about else -1  # this shard's first checkpoint may be still to come
    now = watermark if at is None else at
    return {
        "customer": customer_id,
        "found_by": found_by,
        "identifiers": identifiers,
        "retired": retired,
        **described(book, record, now, (root / "playbook.yaml").read_text()),
    }


def described(book: Playbook, record: records.Record, now: int, text: str) -> dict[str, Any]:
    """What a record says at `now` (ms). `text`: the playbook as it was written."""
    core: Core = record.part("core")
    return {
        "scope": book.scope,
        "currency": book.currency,
        "as_of": now,
        "first_seen": core.first_seen,
        "last_seen": core.last_seen,
        "consents": {
            name: {"granted": granted, "at": when} for name, (when, granted) in sorted(core.consents.items())
        },
        "reachable": _reachable(core),
        "features": feature_values(book, record, book.features, now),
        "scores": feature_values(book, record, told.names(book.foretold), now),
        "backfilling": sorted(book.hidden),
        "units": units(text),
        "open": _open(book, record),
        "cooldowns": _cooldowns(book, core),
        "profile_due": core.alarms.get(profiles.ALARM),
        "waiting_for_move": record.part("queue").waiting if record.has("queue") else 0,
    }


def names_of(key: str, book: Playbook) -> list[str]:
    """The identifier keys that a person may mean by `key`: as written, and in the normal form of every type
    that the playbook names. A phone number counts only with a name: "+49 30 901820 Anna Müller"."""
    known = Identifiers(book.policies, book.region)
    kind, _, value = key.partition(":")
    if kind not in TYPES:
        kind, value = "", key
    phone = _PHONE.match(value)
    traits = Traits(
        email=value,
        loyaltyNumber=value,
        phone=phone[1] if phone else None,
        name=phone[2] if phone else None,
    )
    found = known.keys(value, value, value, traits)
    return [key, *(one for one in found if one.startswith(kind) and one != key)]


def units(text: str) -> dict[str, str]:
    """What the features of a playbook are in, where it is no plain number or text: "duration" (ms), "moment"
    or "money" (minor units of the playbook's currency)."""
    raw = yamlfile.load(text)
    measures = raw.get("measures") or {}
    found = {"expected_value": "money", "next_purchase_at": "moment"} if "churn" in raw else {}
    for name, feature in (raw.get("features") or {}).items():
        aggregate = str(feature.get("aggregate"))
        if aggregate.startswith("time_since"):
            found[name] = "duration"
        elif aggregate in MONEY and (measures.get(feature.get("measure")) or {}).get("unit") == "money":
            found[name] = "money"
    return found


def find(graph: Any, key: str, book: Playbook) -> tuple[str, str] | None:
    """The key that was found, and whose it is."""
    for name in names_of(key, book):
        owner = graph.get(b"o" + name.encode())
        if owner is not None:
            return name, str(owner.decode())
    survivor = key
    while (into := graph.get(b"r" + survivor.encode())) is not None:
        survivor = into.decode()
    return (key, survivor) if graph.get(b"c" + survivor.encode()) is not None else None


def linked(cluster: Cluster, edges: Edges) -> list[dict[str, Any]]:
    """Every identifier, since when and by which event it is known to be this customer's; oldest first."""
    known: dict[str, tuple[Evidence, str]] = {}
    for key in cluster.members:
        for other, evidence in edges(key):
            for one, with_ in ((key, other), (other, key)):
                if one not in known or evidence.at < known[one][0].at:
                    known[one] = evidence, with_
    found = []
    for key in cluster.members:
        if key in known:
            evidence, other = known[key]
            found.append(
                {
                    "key": key,
                    "since": evidence.at,
                    "with": other,
                    "event": evidence.event,
                    "rule": evidence.rule,
                }
            )
        else:
            found.append({"key": key, "since": cluster.born, "with": "", "event": "", "rule": "first"})
    return sorted(found, key=lambda it: (it["since"], it["key"]))


def edges_in(evidence: dict[str, Evidence]) -> Edges:
    """The edges of a graph in memory."""
    return lambda key: (
        (name.removeprefix(f"{key}|"), found)
        for name, found in sorted(evidence.items())
        if name.startswith(f"{key}|")
    )


def _edges(graph: Any, key: str) -> Iterator[tuple[str, Evidence]]:
    prefix = f"e{key}|".encode()
    for name, raw in graph.items(from_key=prefix):
        if not name.startswith(prefix):
            return
        yield name[len(prefix) :].decode(), _evidence(raw)


def _retired(graph: Any, book: Playbook, survivor: str, cluster: Cluster) -> list[str]:
    """Customer ids that were merged into this one. An id follows from its first identifier, and those are
    all among the survivor's."""
    ids = {customer_id(book.scope, key) for key in cluster.members} - {survivor}
    return sorted(id for id in ids if graph.get(b"r" + id.encode()) is not None)


def _open(book: Playbook, record: records.Record) -> list[dict[str, Any]]:
    """Absences that are still to be decided, the next first."""
    found = []
    for rule in book.rules.values():
        if rule.kind != "absence" or not record.has(rule.part):
            continue
        mine: Patterns = record.part(rule.part)
        for key, pattern in mine.keys.items():
            if patterns.is_open(mine, pattern, rule.basket):
                basket = patterns.basket(mine, pattern) if rule.basket else None
                found.append(
                    {
                        "rule": rule.name,
                        "key": key,
                        "since": pattern.since,
                        "due": pattern.since + rule.wait,
                        "items": basket.items if basket else None,
                        "value": basket.value if basket else None,
                    }
                )
    return sorted(found, key=lambda it: (it["due"], it["rule"], it["key"]))


def _reachable(core: Core) -> dict[str, bool]:
    """email, phone, push: whether an address of that kind is known on which nothing has failed."""
    found: dict[str, bool] = {}
    for name, failed in core.addresses.items():
        kind = name.partition(":")[0]
        found[kind] = found.get(kind, False) or failed < 0
    return dict(sorted(found.items()))


def _cooldowns(book: Playbook, core: Core) -> list[dict[str, Any]]:
    """When each trigger last went out, and until when it will not again; that is over when `until` < now."""
    return [
        {"rule": rule, "sent": sent, "until": sent + (book.rules[rule].cooldown if rule in book.rules else 0)}
        for rule, sent in sorted(core.cooldowns.items())
    ]
