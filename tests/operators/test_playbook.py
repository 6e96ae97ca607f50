"""Playbooks are checked as a whole."""

from __future__ import annotations

import pytest

from operators.playbook import BadPlaybook, load, notes
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
    assert list(retail_playbook.rules) == [
        "cart_abandoned", "checkout_abandoned", "repeated_interest", "category_interest", "price_drop",
        "search_without_click", "high_value_cart", "about_to_leave", "churn_risk",
    ]  # fmt: skip
    assert retail_playbook.topics["web"] == "shop.web"
    assert retail_playbook.rules["cart_abandoned"].wait == 900_000


def test_the_least_playbook_is_small() -> None:
    assert load(SMALL).rules == {}


def test_a_currency_is_one_of_iso_4217() -> None:
    assert mistakes(SMALL + "currency: EUP\n") == [
        (4, "currency", "'EUP' is no currency; did you mean 'EUR'?")
    ]  # fmt: skip


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
        (11, "features.b.window"), (12, "features.c"), (14, "triggers.t.wait"), (20, "triggers.t.facts"),
        (21, "triggers.t.where"), (22, "triggers.r.times"),
    ]  # fmt: skip
    problems = {path: problem for _, path, problem in found}
    assert "did you mean 'user_id'?" in problems["identifiers.user"]
    assert "did you mean 'value'?" in problems["measures.views.valeu"]
    assert "did you mean 'views'?" in problems["features.a"]
    assert "did you mean 'properties.total'?" in problems["measures.orders.value"]
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


TRIGGER = "triggers: {t: {on: [x], key: properties.k, channel: c, purpose: p, wait: 1m, "


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        ("mesures: {}", "mesures", "unknown section; did you mean 'measures'?"),
        ("scope: again", "scope", "is there twice"),
        ("measures: {m: {on: [x], on: [y]}}", "measures.m.on", "is there twice"),
        ("measures: {m: {on: x}}", "measures.m.on", "expected a list, got text"),
        ("measures: {m: {on: [x, 7]}}", "measures.m.on[1]", "expected text, got a whole number"),
        ("measures: {m: {on: [x], unit: mony}}", "measures.m.unit", "did you mean 'money'?"),
        (
            "measures: {m: {on: [x], value: propertis.total}}", "measures.m.value",
            "did you mean 'properties.total'?",
        ),
        ("measures: {m: {}}", "measures.m.on", "is missing"),
        ("features: {f: {measure: m, aggregate: cuont}}", "features.f.aggregate", "did you mean 'count'?"),
        ("features: {f: {measure: m}}", "features.f.aggregate", "is missing"),
        (TRIGGER + "kind: abscence}}", "triggers.t.kind", "did you mean 'absence'?"),
        (TRIGGER + "kind: absence, chanel: d}}", "triggers.t.chanel", "did you mean 'channel'?"),
        (TRIGGER + "kind: absence, cooldown: 4hours}}", "triggers.t.cooldown", "is not a duration"),
        (
            TRIGGER + "kind: absence, unless: [{on: y}, {onn: z}]}}", "triggers.t.unless[1].onn",
            "did you mean 'on'?",
        ),
        (TRIGGER + "kind: absence, where: 1 +}}", "triggers.t.where", "cannot read the condition"),
        ("profiles: {every: often}", "profiles.every", "is not a duration"),
        ("profiles: {every: 0s}", "profiles.every", "must be 1s or more"),
        ("profiles: {features: [vews]}\nfeatures: {views: {}}", "profiles.features", "did you mean 'views'?"),
        ("engine: {shards: many}", "engine.shards", "expected a whole number, got text"),
        ("engine: {idle: folow}", "engine.idle", "did you mean 'follow'?"),
    ],
)  # fmt: skip
def test_each_mistake_has_a_line_a_path_and_what_was_meant(wrong: str, path: str, said: str) -> None:
    found = {where: (line, problem) for line, where, problem in mistakes(SMALL + "\n" + wrong + "\n")}
    line, problem = found[path]
    assert (line, said in problem) == (5, True), problem


def test_a_mistake_deep_in_a_list_is_shown_on_its_own_line() -> None:
    text = (
        SMALL
        + """\
triggers:
  t:
    kind: absence
    on:
      - Product Added
      - 7
    key: properties.k
    wait: 15 minutes
    channel: c
    purpose: p
    unless:
      - on: Order Completed
      - no: Order Completed
"""
    )
    assert [found[:2] for found in mistakes(text)] == [
        (9, "triggers.t.on[1]"), (11, "triggers.t.wait"), (16, "triggers.t.unless[1].no"),
        (16, "triggers.t.unless[1].on"),
    ]  # fmt: skip


def test_one_slip_does_not_hide_the_other_mistakes_of_the_same_thing() -> None:
    text = SMALL + "features: {f: {measure: n, aggregate: cuont, windw: 1h, window: long}}\n"
    assert [path for _, path, _ in mistakes(text)] == [
        "features.f", "features.f.aggregate", "features.f.window", "features.f.windw",
    ]  # fmt: skip


def test_a_name_that_is_nearly_one_of_the_contract_is_a_note_and_no_mistake() -> None:
    text = (
        SMALL
        + """\
measures:
  views: {on: [Produkt Viewed], value: properties.product_id}
  own: {on: [Wishlist Opened], value: properties.list_id}
  orders:
    on:
      - Order Completed
      - order completed
    value: properties.totl
  lines: {on: [Order Completed], value: "properties.products[].prduct_id"}
  reviews: {on: [Order Completed], value: properties.gift_note}
churn: {on: [Order Complete], value: properties.total, horizon: 60d, rescore: [Item Returnd]}
"""
    )
    assert load(text).measures.keys() == {"views", "own", "orders", "lines", "reviews"}
    assert [(line, path, words.rpartition(" mean ")[2]) for line, path, words in notes(text)] == [
        (5, "measures.views.on", "'Product Viewed'?"),
        (10, "measures.orders.on", "'Order Completed'?"),
        (11, "measures.orders.value", "'properties.total'?"),
        (12, "measures.lines.value", "'properties.products[].product_id'?"),
        (14, "churn.on", "'Order Completed'?"),
        (14, "churn.rescore", "'Item Returned'?"),
    ]


def test_the_playbook_that_ships_gives_no_notes() -> None:
    assert notes(RETAIL.read_text()) == []


def test_what_changes_a_decision_changes_the_hash_and_tuning_does_not() -> None:
    plain = retail()
    assert retail(("wait: 15m", "wait: 16m")).hash != plain.hash
    assert retail(("scope: shop", "scope: shop\nengine: {dedupe: 1h}")).hash != plain.hash
    assert retail(("scope: shop", "scope: shop\nengine: {shards: 4, epoch: 1s}")).hash == plain.hash


def test_a_rule_that_is_edited_is_another_rule_for_its_trigger_ids() -> None:
    plain, edited = retail(), retail(("wait: 15m", "wait: 16m"))
    changed = [name for name in plain.rules if plain.rules[name].hash != edited.rules[name].hash]
    assert changed == ["cart_abandoned"]


# --- reference data


def test_reference_data_comes_first_and_has_topics_of_its_own() -> None:
    book = load(SMALL + "reference: {prices: {}, stores: {topic: crm.branches}}\n")
    assert book.reference == {"prices": "shop.prices", "stores": "crm.branches"}
    assert book.inputs == ["crm.branches", "shop.prices", "shop.web"]
    assert load(SMALL).inputs == ["shop.web"]


def test_mistakes_of_reference_data_are_told() -> None:
    found = mistakes(SMALL + "reference:\n  price: {}\n  stock: {topic: shop.web}\n  stores: {topics: x}\n")
    assert [(line, path) for line, path, _ in found] == [
        (5, "reference.price"), (6, "reference.stock"), (7, "reference.stores.topics"),
    ]  # fmt: skip
    assert "did you mean 'prices'?" in found[0][2]
    assert "topic of sources.web already" in found[1][2]
