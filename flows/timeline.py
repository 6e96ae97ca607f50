"""What happened to a customer: from what their state knows, and from the output topics where a broker is
given. Events themselves are not kept by oncue."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import orjson

from flows import tail
from operators.playbook import Playbook
from schemas import topics

DEPTH = 100_000  # records looked through in each partition


def timeline(
    found: dict[str, Any], book: Playbook, brokers: str | None = None, depth: int = DEPTH
) -> list[dict[str, Any]]:
    """Entries (at in ms, what, detail) of the customer that `lookup.customer` found, newest first.

    With `brokers` also the triggers, decisions and merges among the newest `depth` records of the
    partitions where the customer and the ids that were merged into it have theirs. Raises KafkaTrouble.
    """
    entries = [
        {"at": it["since"], "what": "identifier", "detail": f"{it['key']} {_linked(it)}"}
        for it in found["identifiers"]
    ]
    entries += [
        {
            "at": said["at"],
            "what": "consent",
            "detail": f"{name} {'granted' if said['granted'] else 'refused'}",
        }
        for name, said in found["consents"].items()
    ]
    if found["last_seen"] >= 0:
        entries += [
            {"at": found["first_seen"], "what": "seen", "detail": "for the first time"},
            {"at": found["last_seen"], "what": "seen", "detail": "for the last time"},
        ]
    if brokers is None:
        entries += [
            {"at": it["sent"], "what": "trigger", "detail": f"{it['rule']}, the last one that went out"}
            for it in found["cooldowns"]
        ]
    else:
        entries += _told(found, book, brokers, depth)
    return sorted(entries, key=lambda it: (-it["at"], it["what"], it["detail"]))


def _linked(identifier: dict[str, Any]) -> str:
    if not identifier["with"]:
        return "is the first"
    return f"seen together with {identifier['with']} in {identifier['event']}"


def _told(found: dict[str, Any], book: Playbook, brokers: str, depth: int) -> list[dict[str, Any]]:
    ids = {found["customer"], *found["retired"]}
    names = [
        topics.output(book.scope, code) for code in (topics.TRIGGERS, topics.DECISIONS, topics.IDENTITIES)
    ]
    partitions = {crc32(id.encode()) % book.engine.partitions for id in ids}
    keys = {id.encode() for id in ids}
    entries = []
    for record in tail.history(brokers, names, "reading the timeline", depth, partitions):
        if record.key() not in keys:
            continue
        body = orjson.loads(record.value() or b"{}")
        headers = {name: (text or b"").decode() for name, text in record.headers() or []}
        entry = _entry(record.topic().rpartition(".")[2], headers.get("ce_type", ""), body)
        entries.append({**entry, "id": headers.get("ce_id", "")})
    return entries


def _entry(topic: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    if topic == "identities":
        detail = f"{body['retired']} into {body['customer']}, linked by {', '.join(body['linked_by'])}"
        return {"at": body["at"], "what": "merge", "detail": detail}
    about = " ".join(filter(None, (body["rule"], body["key"])))
    if topic == "decisions":
        return {"at": body["decided_at"], "what": "held back", "detail": f"{about}: {body['reason']}"}
    if kind.startswith("oncue.trigger-cancelled"):
        return {"at": body["cancelled_at"], "what": "cancelled", "detail": f"{about}: {body['reason']}"}
    return {
        "at": body["decided_at"],
        "what": "trigger",
        "detail": f"{about} by {body['channel']}: {body['why']}",
    }
