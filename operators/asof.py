"""Who somebody was, and what was known of them, at a moment of the past.

As of a moment counts what had happened by then and had been worked off before the watermark got there: what
came too late for then does not, nor does an identifier that was linked later. So nothing that happened or
was learnt afterwards can show in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from operators.folding import Linking, Summary
from operators.graph import Cluster, Evidence
from operators.history import Happened
from operators.identity import Identities
from operators.playbook import Playbook


class Person(NamedTuple):
    """A customer as they were: their id and identifiers then, what linked these ("key|key"), the ids that
    had been merged into them, what was folded of their leaves, and their other events in recorded order."""

    customer: str
    cluster: Cluster
    evidence: dict[str, Evidence]
    retired: list[str]
    folded: list[Summary]
    happened: list[Happened]


def known(found: Iterable[Happened], at: int) -> list[Happened]:
    """What counts as of `at` (ms) of `found`."""
    return [it for it in found if it.at <= at and it.before < at]


class Past:
    """Identifiers and policies of a playbook, to link again what was linked."""

    def __init__(self, playbook: Playbook) -> None:
        self._scope, self._policies = playbook.scope, playbook.policies
        self._linking = Linking(playbook)

    def people(
        self, found: Iterable[Happened], members: Collection[str], at: int, folded: Mapping[str, Summary]
    ) -> list[Person]:
        """Who the customer with the identifiers `members` was as of `at` (ms): nobody yet, one, or several
        who turned out to be the same later. `found`: all their events in recorded order, but for what was
        `folded`, by leaf, as of `at` or before."""
        retired: dict[str, str] = {}
        clusters: dict[str, Cluster] = {}
        evidence: dict[str, Evidence] = {}
        graph = Identities(self._scope, self._policies, {}, clusters, retired, evidence)
        happened = known(found, at)
        links = [self._linking.of(it) for it in happened]
        if folded:
            links = sorted([*links, *(link for one in folded.values() for link in one.links)])
        for link in links:
            keys = tuple([key for key in link.keys if key in members])
            graph.resolve(keys, link.at, link.event)
        people = {id: Person(id, cluster, evidence, [], [], []) for id, cluster in clusters.items()}
        for leaf, one in folded.items():
            people[str(graph.owners.get(leaf))].folded.append(one)
        for it in happened:
            people[str(graph.owners.get(it.leaf))].happened.append(it)
        for id in retired:
            people[str(graph.find(id))].retired.append(id)
        return list(people.values())
