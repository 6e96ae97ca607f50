"""What two playbooks made of the same events, compared by example and by law."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from operators import rehearsalpage, rehearsalwords
from operators.regrouping import Matching, People
from operators.rehearsal import (
    APPEARED,
    DAY,
    DISAPPEARED,
    MOVED,
    REASON,
    Change,
    Compared,
    Comparison,
    Counts,
    Outcome,
    Report,
)

MINUTE = 60_000


def sent(
    minute: int, cause: str = "m1", customer: str = "c1", rule: str = "cart", key: str = "k1"
) -> Outcome:
    return Outcome(f"{rule}/{key}/{cause}", rule, customer, key, cause, minute * MINUTE, "", "left behind")


def held(minute: int, reason: str, cause: str = "m1") -> Outcome:
    return sent(minute, cause)._replace(held=reason, why=reason)


def compare(
    old: Iterable[Outcome],
    new: Iterable[Outcome],
    hashes: tuple[dict[str, str], dict[str, str]] = ({"cart": "1"}, {"cart": "2"}),
    same_person: dict[str, str] | None = None,
) -> Compared:
    """`same_person`: customer id of either run -> who that is."""
    person = lambda customer: (same_person or {}).get(customer, customer)  # noqa: E731
    comparison = Comparison(person, person)
    for one in old:
        comparison.old(one)
    for one in new:
        comparison.new(one)
    return comparison.result(*hashes, examples=3)


def only(found: Compared) -> Change:
    (change,) = found.changes
    return change


def test_what_both_sent_at_the_same_moment_is_the_same_though_ids_differ() -> None:
    found = compare([sent(20)], [sent(20)._replace(id="other rule hash")])
    assert found.rules["cart"].triggers == Counts(old=1, new=1, same=1)
    assert found.rules["cart"].written == "changed"
    assert found.changes == []


def test_a_longer_wait_moves_a_trigger() -> None:
    change = only(compare([sent(20)], [sent(35)]))
    assert change.what == MOVED
    assert "15m later" in rehearsalwords.change(change)


def test_the_same_cart_left_again_because_of_another_event_moves_if_it_is_near() -> None:
    near = compare([sent(20, "m1")], [sent(50, "m2")])
    assert only(near).what == MOVED
    assert "another event" in rehearsalwords.change(only(near))
    far = compare([sent(0, "m1")], [sent(DAY // MINUTE + 1, "m2")])
    assert [it.what for it in far.changes] == [APPEARED, DISAPPEARED]


def test_a_trigger_moves_to_the_nearest_of_several() -> None:
    found = compare([sent(20, "m1"), sent(100, "m2")], [sent(90, "m3")])
    moved, gone = (next(it for it in found.changes if it.what == what) for what in (MOVED, DISAPPEARED))
    assert moved.old is not None
    assert gone.old is not None
    assert (moved.old.cause, gone.old.cause) == ("m2", "m1")


def test_another_key_is_another_trigger() -> None:
    found = compare([sent(20, key="k1")], [sent(20, key="k2")])
    assert found.rules["cart"].triggers == Counts(old=1, new=1, appeared=1, disappeared=1)


def test_a_trigger_that_is_held_back_now_says_why() -> None:
    change = only(compare([sent(20)], [held(20, "cooldown")]))
    assert change.what == DISAPPEARED
    assert change.new is not None
    assert change.new.held == "cooldown"
    assert rehearsalwords.change(change).endswith("left behind; held back now: cooldown")
    back = only(compare([held(20, "cooldown")], [sent(20)]))
    assert rehearsalwords.change(back).endswith("held back before: cooldown")


def test_a_candidate_that_was_not_there_says_so() -> None:
    change = only(compare([], [sent(20)]))
    assert (change.what, change.old) == (APPEARED, None)
    assert "no reason to act before" in rehearsalwords.change(change)


def test_held_back_for_another_reason_is_counted_by_both_reasons() -> None:
    found = compare(
        [held(1, "cooldown"), held(2, "cooldown", "m2")], [held(1, "expired"), held(2, "cooldown", "m2")]
    )
    assert [(it.old, it.new, it.count) for it in found.reasons] == [("cooldown", "expired", 1)]
    assert found.rules["cart"].held == {"cooldown": (2, 1), "expired": (0, 1)}
    assert only(found).what == REASON


def test_people_are_matched_whatever_their_ids() -> None:
    same = {"c1": "anna", "c9": "anna"}
    assert compare([sent(20, customer="c1")], [sent(20, customer="c9")], same_person=same).changes == []


def test_days_add_up_and_a_moved_trigger_counts_on_its_old_day() -> None:
    before_midnight, after = 24 * 60 - 5, 24 * 60 + 5
    found = compare([sent(before_midnight)], [sent(after)])
    assert found.days["1970-01-01"]["cart"] == Counts(old=1, moved=1)
    assert found.days["1970-01-02"]["cart"] == Counts(new=1)


def test_rules_say_what_became_of_them() -> None:
    hashes = {"a": "1", "b": "1", "c": "1"}, {"b": "1", "c": "2", "d": "1"}
    rules = compare([], [], hashes).rules
    assert {name: row.written for name, row in rules.items()} == {
        "a": "removed", "b": "same", "c": "changed", "d": "added",
    }  # fmt: skip


def test_the_page_escapes_what_customers_wrote_and_needs_no_network() -> None:
    found = compare([], [sent(20, key="<script>alert(1)</script>")])
    report = Report(
        scope="shop", old="old.yaml", new="new.yaml", begin="beginning", end="now", events=9, settings=[],
        people=People(old=1, new=1), dead_letters={"event: bad-value": (0, 2)}, compared=found,
    )  # fmt: skip
    page = rehearsalpage.page(report)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "http" not in page
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert style.count("{") == style.count("}") > 0
    assert "event: bad-value" in page
    assert report.differs
    assert "1 appeared" in "".join(rehearsalwords.summary(report))


outcomes = st.lists(
    st.builds(
        lambda number, rule, customer, key, cause, minute, reason: Outcome(
            f"id{number}", rule, customer, key, cause, minute * MINUTE, reason, reason
        ),
        st.integers(0, 3),
        st.sampled_from(["cart", "look"]),
        st.sampled_from(["c1", "c2"]),
        st.sampled_from(["", "k1"]),
        st.sampled_from(["m1", "m2", "m3"]),
        st.one_of(st.integers(0, 30), st.integers(1400, 1500)),
        st.sampled_from(["", "", "cooldown", "expired"]),
    ),
    max_size=12,
)


@given(outcomes, st.randoms())
def test_a_playbook_against_itself_has_no_differences(decided: list[Outcome], random: object) -> None:
    again = list(decided)
    random.shuffle(again)  # type: ignore[attr-defined]
    found = compare(decided, again)
    assert found.changes == []
    assert found.reasons == []
    triggers = sum(not it.held for it in decided)
    assert sum(row.triggers.same for row in found.rules.values()) == triggers


@given(outcomes, outcomes)
def test_swapping_the_playbooks_swaps_what_appeared_and_disappeared(
    one: list[Outcome], other: list[Outcome]
) -> None:
    there, back = compare(one, other), compare(other, one)
    for name, row in there.rules.items():
        turned = back.rules[name]
        mine, theirs = row.triggers, turned.triggers
        assert (mine.old, mine.appeared, mine.disappeared) == (
            theirs.new,
            theirs.disappeared,
            theirs.appeared,
        )
        assert (mine.same, mine.moved) == (theirs.same, theirs.moved)
        assert row.held == {reason: (a, b) for reason, (b, a) in turned.held.items()}
    turned_reasons = sorted((it.rule, it.new, it.old, it.count) for it in back.reasons)
    assert sorted((it.rule, it.old, it.new, it.count) for it in there.reasons) == turned_reasons


@given(outcomes, outcomes)
def test_every_trigger_is_counted_once(one: list[Outcome], other: list[Outcome]) -> None:
    found = compare(one, other)
    rows = [row.triggers for row in found.rules.values()]
    rows += [row for rules in found.days.values() for row in rules.values()]
    for row in rows:
        assert row.old == row.same + row.moved + row.disappeared
    for rule in found.rules.values():
        row = rule.triggers
        assert row.new == row.same + row.moved + row.appeared


# --- customers ---

Owners = dict[str, str]  # identifier -> customer


def matching(old: Owners, new: Owners) -> Matching:
    return Matching(lambda: [(key, old.get(key), new.get(key)) for key in sorted(old.keys() | new.keys())])


def people(old: Owners, new: Owners) -> People:
    return matching(old, new).people(len({*old.values()}), len({*new.values()}), examples=5)


def test_customers_that_share_a_device_are_merged_if_the_new_playbook_says_so() -> None:
    old = {"user:a": "c1", "user:b": "c2", "user:z": "c9"}
    new = {"user:a": "c1", "user:b": "c1", "device:d": "c1", "user:z": "c9"}
    found = people(old, new)
    assert (found.old, found.new, found.merged, found.split, found.appeared) == (3, 2, 1, 0, 0)
    (example,) = found.examples
    assert [it.customer for it in example.old] == ["c1", "c2"]
    assert [it.identifiers for it in example.new] == [["device:d", "user:a", "user:b"]]
    assert people(new, old).split == 1


def test_another_id_for_the_same_identifiers_is_no_difference_but_the_same_person() -> None:
    found = matching({"a": "c1", "b": "c1"}, {"a": "c2", "b": "c2"})
    assert found.old("c1") == found.new("c2")
    assert found.people(1, 1, 5) == People(old=1, new=1)


def test_customers_that_nothing_shows_any_more_are_gone() -> None:
    found = people({"user:a": "c1", "device:a": "c1", "device:d": "c2"}, {"user:a": "c1", "phone:x": "c3"})
    assert (found.gone, found.appeared, found.merged, found.split) == (1, 1, 0, 0)


KEYS: Sequence[str] = "abcdefgh"


@st.composite
def graphs(draw: st.DrawFn) -> Owners:
    """Identifiers in groups; a customer's id follows from one of its identifiers, as ids of oncue do."""
    numbers = draw(st.lists(st.none() | st.integers(0, 4), min_size=len(KEYS), max_size=len(KEYS)))
    groups: dict[int, list[str]] = {}
    for key, number in zip(KEYS, numbers, strict=True):
        if number is not None:
            groups.setdefault(number, []).append(key)
    named = {f"c-{draw(st.sampled_from(keys))}": keys for keys in groups.values()}
    return {key: customer for customer, keys in named.items() for key in keys}


def bundles(owners: Owners, shared: set[str]) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for key, owner in owners.items():
        found.setdefault(owner, set()).add(key)
    return {frozenset(keys & shared) for keys in found.values()} - {frozenset()}


@given(graphs(), graphs())
def test_people_that_share_an_identifier_are_the_same_and_swapping_swaps(old: Owners, new: Owners) -> None:
    found = matching(old, new)
    shared = old.keys() & new.keys()
    for key in shared:
        assert found.old(old[key]) == found.new(new[key])
    there, back = people(old, new), people(new, old)
    assert (there.merged, there.split, there.regrouped) == (back.split, back.merged, back.regrouped)
    assert (there.gone, there.appeared) == (back.appeared, back.gone)
    alike = bundles(old, shared) == bundles(new, shared)
    assert (there.merged + there.split + there.regrouped == 0) == alike


@given(graphs())
def test_a_graph_against_itself_differs_in_nothing(owners: Owners) -> None:
    count = len({*owners.values()})
    assert people(owners, owners) == People(old=count, new=count)
