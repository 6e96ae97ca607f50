"""Every published contract: its name, its shape, who must not break, and its version.

Versions are SchemaVer (MODEL-REVISION-ADDITION). `schemas/compat.py` says which part a change must raise.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from schemas import outbound, playbook
from schemas.inbound import PROPERTIES
from schemas.messages import MESSAGES
from schemas.reference import RECORDS

# "in": senders must not break; "out": consumers must not break; "file": no topic, nobody far away.
Direction = Literal["in", "out", "file"]

FIRST = "1-0-0"
# Of what has changed since its first; also "topics".
VERSIONS: dict[str, str] = {"outbound.headers": "1-0-1", "outbound.profile": "1-0-1"}


def version(name: str) -> str:
    return VERSIONS.get(name, FIRST)


class Contract(NamedTuple):
    name: str
    kind: type[msgspec.Struct]
    direction: Direction


def slug(event: str) -> str:
    """A track event's name as a part of file names.

    >>> slug("Product Viewed")
    'product-viewed'
    """
    return event.lower().replace(" ", "-")


OUTBOUND: dict[str, type[msgspec.Struct]] = {
    "trigger": outbound.Trigger,
    "trigger-cancelled": outbound.TriggerCancelled,
    "profile": outbound.Profile,
    "identity": outbound.Identity,
    "decision": outbound.Decision,
    "dead-letter": outbound.DeadLetter,
    "ledger": outbound.Ledger,
}

CONTRACTS: list[Contract] = [
    *(Contract(f"inbound.{name}", kind, "in") for name, kind in MESSAGES.items()),
    *(Contract(f"inbound.{slug(name)}", kind, "in") for name, kind in PROPERTIES.items()),
    *(Contract(f"reference.{name}", kind, "in") for name, kind in RECORDS.items()),
    *(Contract(f"outbound.{name}", kind, "out") for name, kind in OUTBOUND.items()),
    Contract("outbound.headers", outbound.Headers, "out"),
    Contract("playbook", playbook.Playbook, "file"),
]
