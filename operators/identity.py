"""Who is who: identifiers, the evidence that links them, and customers.

An identifier belongs to one customer. An event that carries identifiers of two customers merges
them: the older customer survives, the other id is retired and resolves to the survivor for ever. A
merge that would break a policy (two accounts on a family's tablet) is not made; the event goes to
the customer of its strongest identifier and the refusal is recorded with its reason.

Everything is derived from content: a customer's id from the scope and its first identifier, its age
from the event that first showed it. So the survivor does not depend on the order of the merges.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from operators.graph import Cluster, Evidence
from operators.identifiers import Policy

V = TypeVar("V")


class Table(Protocol[V]):
    """A map that state keeps: `dict` in tests, RocksDB behind a cache in a worker."""

    def get(self, key: str, /) -> V | None: ...
    def __setitem__(self, key: str, value: V, /) -> None: ...
    def __delitem__(self, key: str, /) -> None: ...


class Merge(NamedTuple):
    retired: str
    survivor: str
    linked_by: tuple[str, ...]


class Blocked(NamedTuple):
    """A link that policy refused: `key` (and the customer `other`, if it has one) stay apart."""

    customer: str
    other: str
    key: str
    reason: str


class BrokenGraph(Exception):
    """The graph contradicts itself. No event is to blame, and nothing may go on with it."""


class Resolved(NamedTuple):
    customer: str
    merges: tuple[Merge, ...] = ()
    blocked: tuple[Blocked, ...] = ()


def customer_id(scope: str, key: str) -> str:
    """The id of the customer whose first identifier is `key`.

    >>> customer_id("shop", "user_id:u1")
    'c-iauuxtvzeicias2e'
    """
    digest = hashlib.blake2b(f"{scope}\n{key}".encode(), digest_size=10).digest()
    return "c-" + base64.b32encode(digest).decode().lower()


class Identities:
    """The identity graph of a scope.

    Parameters
    ----------
    owners
        identifier key -> customer id, always the surviving one.
    clusters
        customer id -> Cluster.
    retired
        retired customer id -> the id it was merged into.
    evidence
        "key|key" -> Evidence of the first event that showed both.
    most
        The most identifiers of one customer; what would exceed it is blocked, because a cluster
        that keeps growing is a shared device or a default value, not a person.
    """

    def __init__(
        self,
        scope: str,
        policies: Sequence[Policy],
        owners: Table[str],
        clusters: Table[Cluster],
        retired: Table[str],
        evidence: Table[Evidence],
        most: int = 500,
    ) -> None:
        self._scope = scope
        self._limits = {policy.type: policy.limit for policy in policies if policy.limit}
        self.owners = owners
        self.clusters = clusters
        self.retired = retired
        self.evidence = evidence
        self._most = most

    def owner(self, keys: tuple[str, ...]) -> str | None:
        """The customer that all `keys` belong to already; None when something is to be linked."""
        found = self.owners.get(keys[0])
        if found is not None and len(keys) > 1:
            for key in keys[1:]:
                if self.owners.get(key) != found:
                    return None
        return found

    def resolve(self, keys: tuple[str, ...], at: int, event: str) -> Resolved:
        """The customer of an event with `keys` (strongest first), linking what it shows."""
        owner = self.owner(keys)
        return Resolved(owner) if owner is not None else self.link(keys, at, event)

    def find(self, key: str) -> str | None:
        """The surviving customer id of an identifier key or of any customer id, past or present."""
        owner = self.owners.get(key)
        if owner is not None:
            return owner
        while (into := self.retired.get(key)) is not None:
            key = into
        return key if self.clusters.get(key) is not None else None

    def link(self, keys: tuple[str, ...], at: int, event: str) -> Resolved:
        """The customer of an event with `keys`, which do not all belong to the same one yet.

        Everything is read and decided before anything changes: what raises leaves the graph as it was.
        """
        owners = [self.owners.get(key) for key in keys]
        owned = dict(zip(keys, owners, strict=True))  # what is unknown is looked up in the store
        base = self._base(keys, owners)
        if base is None:
            base = customer_id(self._scope, keys[0])
            joined = {base: Cluster(at, [keys[0]])}
        else:
            joined = {base: self._cluster(base)}
        united = list(joined[base].members)
        refused: dict[str, Blocked] = {}
        for key, owner in zip(keys, owners, strict=True):
            if key in united or owner in joined:
                continue
            theirs = None if owner is None else self._cluster(owner)
            more = [key] if theirs is None else theirs.members
            reason = self._refuses(united, more)
            if reason:
                refused[f"blocked:{base}|{key}"] = Blocked(base, owner or "", key, reason)
                continue
            united += more
            if owner is not None and theirs is not None:
                joined[owner] = theirs
        survivor = min(joined, key=lambda customer: (joined[customer].born, customer))
        # A refusal is reported once, not with every event of a shared tablet.
        blocked = {edge: it for edge, it in refused.items() if self.evidence.get(edge) is None}
        changed = [
            key for key in united if (owned[key] if key in owned else self.owners.get(key)) != survivor
        ]
        edges = self._unknown_edges([key for key in keys if key in united])

        merges = tuple(Merge(loser, survivor, keys) for loser in joined if loser != survivor)
        for merge in merges:
            del self.clusters[merge.retired]
            self.retired[merge.retired] = survivor
        self.clusters[survivor] = Cluster(joined[survivor].born, united)
        for key in changed:
            self.owners[key] = survivor
        for edge, refusal in blocked.items():
            self.evidence[edge] = Evidence(event, at, refusal.reason)
        for edge in edges:
            self.evidence[edge] = Evidence(event, at)
        return Resolved(survivor, merges, tuple(blocked.values()))

    def _base(self, keys: tuple[str, ...], owners: list[str | None]) -> str | None:
        """The customer the strongest identifier belongs to, or may join; None when it starts one."""
        if owners[0] is not None:
            return owners[0]
        for owner in owners:
            if owner is not None and not self._refuses(self._cluster(owner).members, [keys[0]]):
                return owner
        return None

    def _refuses(self, members: list[str], more: list[str]) -> str:
        """Why the two may not be one customer, or an empty string."""
        if len(members) + len(more) > self._most:
            return f"more than {self._most} identifiers"
        for kind, limit in self._limits.items():
            prefix = kind + ":"
            if not any(key.startswith(prefix) for key in more):
                continue
            values = {key for key in (*members, *more) if key.startswith(prefix)}
            if len(values) > limit:
                return f"more than {limit} {kind}"
        return ""

    def _unknown_edges(self, linked: list[str]) -> list[str]:
        edges = ["|".join(sorted((linked[0], key))) for key in linked[1:]]
        return [edge for edge in edges if self.evidence.get(edge) is None]

    def _cluster(self, customer: str) -> Cluster:
        cluster = self.clusters.get(customer)
        if cluster is None:
            raise BrokenGraph(
                f"customer {customer} owns identifiers but has no cluster: the identity graph is damaged. "
                "See `oncue state verify`"
            )
        return cluster
