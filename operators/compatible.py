"""Which changes to a playbook's identifiers a kept identity graph can take.

Whatever else changes in a playbook, what is kept stays right. Identifiers are different: the graph holds
what they once linked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from operators import yamlfile


class Linking(NamedTuple):
    """What a playbook links people by: the home region of phone numbers, and identifier type -> limit."""

    region: str
    limits: dict[str, int]


def linking(playbook: str) -> Linking:
    """Of the text of a playbook that was good once, be it in an older form of the language."""
    raw = yamlfile.load(playbook)
    identifiers: dict[str, Any] = raw.get("identifiers") or {}
    return Linking(
        raw.get("region", "US"), {name: (its or {}).get("limit", 0) for name, its in identifiers.items()}
    )


def differences(old: Linking, new: Linking) -> list[str]:
    """Why identities that were resolved by `old` cannot be gone on with by `new`; empty when they can.

    More types, more or no limit, another order or other junk are fine.
    """
    found = []
    for name, limit in old.limits.items():
        now = new.limits.get(name)
        if now is None:
            found.append(f"identifiers.{name} is gone, but people were linked by it")
        elif now and (not limit or now < limit):
            before = str(limit) if limit else "no limit"
            found.append(f"identifiers.{name}.limit is {now} and was {before}; people may have more")
    if old.region != new.region and "phone_name" in old.limits:
        found.append(f"region is {new.region} and was {old.region}; phone numbers were completed with it")
    return found
