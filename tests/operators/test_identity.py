"""Who is who."""

from __future__ import annotations

from operators.graph import Cluster, Evidence
from operators.identifiers import Policy
from operators.identity import Identities, customer_id

POLICIES = [Policy("user_id", limit=1), Policy("email"), Policy("anonymous_id"), Policy("device_id")]


def graph(most: int = 500) -> Identities:
    owners: dict[str, str] = {}
    clusters: dict[str, Cluster] = {}
    retired: dict[str, str] = {}
    evidence: dict[str, Evidence] = {}
    return Identities("shop", POLICIES, owners, clusters, retired, evidence, most)


def test_the_same_identifier_is_always_the_same_customer() -> None:
    people = graph()
    first = people.resolve(("anonymous_id:a1",), 10, "web/0/0")
    again = people.resolve(("anonymous_id:a1",), 20, "web/0/1")
    assert first.customer == again.customer == customer_id("shop", "anonymous_id:a1")


def test_identifiers_never_seen_together_are_two_customers() -> None:
    people = graph()
    one = people.resolve(("anonymous_id:a1",), 10, "web/0/0")
    other = people.resolve(("anonymous_id:a2",), 20, "web/0/1")
    assert one.customer != other.customer


def test_a_new_identifier_joins_the_customer_it_is_seen_with() -> None:
    people = graph()
    known = people.resolve(("anonymous_id:a1",), 10, "web/0/0").customer
    login = people.resolve(("user_id:u1", "anonymous_id:a1"), 20, "web/0/1")
    assert login.customer == known
    assert login.merges == ()
    assert people.find("user_id:u1") == known


def test_the_older_customer_survives_and_the_old_id_resolves_for_ever() -> None:
    people = graph()
    young = people.resolve(("user_id:u1",), 50, "crm/0/0").customer
    old = people.resolve(("anonymous_id:a1",), 10, "web/0/0").customer
    found = people.resolve(("user_id:u1", "anonymous_id:a1"), 60, "web/0/1")
    assert found.customer == old
    assert [(merge.retired, merge.survivor) for merge in found.merges] == [(young, old)]
    oldest = people.resolve(("device_id:d1",), 5, "app/0/0").customer
    people.resolve(("anonymous_id:a1", "device_id:d1"), 70, "app/0/1")
    assert people.find(young) == people.find(old) == people.find("user_id:u1") == oldest


def test_one_event_can_join_three_customers() -> None:
    people = graph()
    ids = [
        people.resolve((key,), at, f"web/0/{at}").customer
        for at, key in enumerate(["email:e", "anonymous_id:a"])
    ]
    found = people.resolve(("user_id:u1", "email:e", "anonymous_id:a"), 9, "web/0/9")
    assert found.customer == ids[0]
    assert [merge.retired for merge in found.merges] == [ids[1]]
    assert people.clusters.get(ids[0]) == Cluster(0, ["email:e", "user_id:u1", "anonymous_id:a"])


def test_two_accounts_on_one_tablet_stay_two_people_and_the_refusal_says_why() -> None:
    people = graph()
    ann = people.resolve(("user_id:ann", "device_id:tablet"), 1, "app/0/0").customer
    bob = people.resolve(("user_id:bob", "device_id:tablet"), 2, "app/0/1")
    assert bob.customer == customer_id("shop", "user_id:bob")
    assert bob.merges == ()
    (refusal,) = bob.blocked
    assert (refusal.customer, refusal.other, refusal.key) == (bob.customer, ann, "device_id:tablet")
    assert refusal.reason == "more than 1 user_id"


def test_a_refusal_is_reported_once_however_often_the_tablet_is_used() -> None:
    people = graph()
    people.resolve(("user_id:ann", "device_id:tablet"), 1, "app/0/0")
    people.resolve(("user_id:bob", "device_id:tablet"), 2, "app/0/1")
    assert people.resolve(("user_id:bob", "device_id:tablet"), 3, "app/0/2").blocked == ()


def test_a_customer_that_would_collect_too_many_identifiers_does_not_grow() -> None:
    people = graph(most=2)
    people.resolve(("anonymous_id:a1", "device_id:till"), 1, "pos/0/0")
    found = people.resolve(("anonymous_id:a2", "device_id:till"), 2, "pos/0/1")
    assert [refusal.reason for refusal in found.blocked] == ["more than 2 identifiers"]


def test_a_link_is_remembered_with_the_event_that_first_showed_it() -> None:
    people = graph()
    people.resolve(("user_id:u1", "anonymous_id:a1"), 7, "web/0/3")
    people.resolve(("user_id:u1", "anonymous_id:a1"), 9, "web/0/4")
    assert people.evidence.get("anonymous_id:a1|user_id:u1") == Evidence("web/0/3", 7)


def test_who_was_never_seen_is_not_found() -> None:
    assert graph().find("user_id:nobody") is None
