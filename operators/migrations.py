"""Records of customers as earlier versions kept them, brought up when they are read.

A new version is also a new format of the state (state/migrations.py), which earlier programs refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

Parts = dict[str, bytes]

VERSION = 1

# From each version to the next: the parts of a record, each still encoded.
UPGRADES: Mapping[int, Callable[[Parts], Parts]] = {}


def bring_up(id: str, version: int, parts: Parts) -> Parts:
    """Raises ValueError for a version from the future."""
    if not 1 <= version <= VERSION:
        raise ValueError(
            f"customer {id} is stored in version {version}; this program reads versions up to {VERSION}"
        )
    for step in range(version, VERSION):
        parts = UPGRADES[step](parts)
    return parts
