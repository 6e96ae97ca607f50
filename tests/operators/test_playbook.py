"""Playbooks are checked as a whole."""

from __future__ import annotations

import pytest

from operators.playbook import BadPlaybook, load
from tests.events import RETAIL, retail

SMALL = """\
scope: shop
sources: {web: {}}
identifiers: {user_id: {}}
"""


def mistakes(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(BadPlaybook) as bad:
        load(text, "shop.yaml")
    return [(found.line, found.path, found.problem) for found in bad.value.mistakes]


def test_the_retail_playbook_is_good() -> None:
    retail_playbook = load(RETAIL.read_text())
    assert list(retail_playbook.rules) == ["cart_abandoned", "checkout_abandoned", "repeated_interest"]
    assert retail_playbook.topics["web"] == "shop.web"
    assert retail_playbook.rules["cart_abandoned"].wait == 900_000


def test_the_least_playbook_is_small() -> None:
    assert load(SMALL).rules == {}


def test_all_mistakes_are_listed_at_once_each_with_its_line() -> None:
    found = mistakes("""\
scope: Shop!
sources: {}
identifiers:
  user: {}
  email: {limit: many}
measures:
  views: {on: [Product Viewed], valeu: properties.x}
  orders: {on: [Order Completed], value: total}
features:
  a: {measure: viewz, aggregate: count}
  b: {measure: orders, aggregate: count, window: 1 week}
  c: {measure: orders, aggregate: sum}
triggers:
  t:
    kind: absence
    on: [Product Added]
    key: properties.cart_id
    channel: email
    purpose: marketing
    facts: [d]
    where: b > 1 and bb == 2
  r: {kind: repeat, on: [x], key: properties.k, channel: c, purpose: p, within: 1h}
""")
    assert [(line, path) for line, path, _ in found] == [
        (1, "scope"), (2, "sources"), (4, "identifiers.user"), (5, "identifiers.email.limit"),
        (7, "measures.views.valeu"), (8, "measures.orders.value"), (10, "features.a"),
        (11, "features.b.window"), (12, "features.c"), (14, "triggers.t.facts"), (14, "triggers.t.wait"),
        (14, "triggers.t.where"), (22, "triggers.r.times"),
    ]  # fmt: skip
    problems = {path: problem for _, path, problem in found}
    assert "did you mean 'user_id'?" in problems["identifiers.user"]
    assert "did you mean 'value'?" in problems["measures.views.valeu"]
    assert "did you mean 'views'?" in problems["features.a"]
    assert "15m" in problems["features.b.window"]


def test_the_message_names_the_file_and_the_line() -> None:
    with pytest.raises(BadPlaybook, match=r"shop\.yaml:1: scope: 'A' is not lower-case"):
        load(SMALL.replace("scope: shop", "scope: A"), "shop.yaml")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scope: [", 1),
        ("- a\n- b\n", 1),
        ("", 1),
        (SMALL + "scope: again\n", 4),
        (SMALL + "currency: !!python/name:os.system x\n", 4),
        (SMALL + "currency: \x07\n", 4),
        (SMALL + "features: &f {a: *f}\n", 4),
        (SMALL + "currency: 2026-02-31\n", 4),
    ],
)
def test_what_is_no_yaml_is_a_mistake_of_the_file(text: str, line: int) -> None:
    ((where, path, _),) = mistakes(text)
    assert (where, path) == (line, "file")


@pytest.mark.parametrize("section", ["measures", "features", "triggers", "engine", "sources", "identifiers"])
@pytest.mark.parametrize("value", ["", "7", "[a]", "{a: 7}", "{a: [b]}"])
def test_a_section_of_the_wrong_shape_is_a_mistake_and_no_crash(section: str, value: str) -> None:
    small = {"sources": "{web: {}}", "identifiers": "{user_id: {}}", section: value}
    small.setdefault("features", "{f: {measure: m, aggregate: count}}")
    rule = "kind: absence, on: [x], key: properties.k, channel: c, purpose: p, wait: 1m"
    small.setdefault("triggers", f"{{t: {{{rule}, facts: [f], where: f > 1}}}}")
    text = "scope: shop\n" + "".join(f"{name}: {body}\n" for name, body in small.items())
    assert mistakes(text)


def test_what_changes_a_decision_changes_the_hash_and_tuning_does_not() -> None:
    plain = retail()
    assert retail(("wait: 15m", "wait: 16m")).hash != plain.hash
    assert retail(("scope: shop", "scope: shop\nengine: {dedupe: 1h}")).hash != plain.hash
    assert retail(("scope: shop", "scope: shop\nengine: {shards: 4, epoch: 1s}")).hash == plain.hash


def test_a_rule_that_is_edited_is_another_rule_for_its_trigger_ids() -> None:
    plain, edited = retail(), retail(("wait: 15m", "wait: 16m"))
    changed = [name for name in plain.rules if plain.rules[name].hash != edited.rules[name].hash]
    assert changed == ["cart_abandoned"]
