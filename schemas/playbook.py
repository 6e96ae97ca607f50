"""The shape of a playbook, the YAML file that analysts write. `operators/playbook.py` checks and compiles it.

Durations are strings such as `15m` (see `schemas/durations.py`). Paths name a field of the inbound
event: `properties.product_id`; `properties.products[].product_id` means each of them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Aggregate = Literal[
    "count", "sum", "mean", "min", "max", "first", "last", "time_since", "time_since_first", "distinct",
    "top", "open",
]  # fmt: skip
Unit = Literal["money", "number", "text"]

ScoreNumber = Literal[
    "churn_probability", "expected_purchases", "expected_value", "value_rank", "intent_probability"
]
Contestant = Literal["recursive", "curved", "logistic", "tree", "forest", "ensemble"]


class Section(msgspec.Struct, forbid_unknown_fields=True):
    """Base of all sections: a misspelt key is a mistake, not a silent default."""


class Source(Section):
    """One inbound topic. `topic` defaults to `<scope>.<name of the source>`."""

    topic: str | None = None


class Reference(Section):
    """The topic of one kind of reference data: products, prices, stock, stores or content. `topic`
    defaults to `<scope>.<kind>`."""

    topic: str | None = None


class Identifier(Section):
    """Policy of one identifier type. The order in the file is the priority, strongest first.

    `limit`: the most different values one customer may have; a merge that would exceed it is
    blocked. 0 means no limit. `junk`: values that never link anybody, on top of the built-in ones.
    """

    limit: int = 0
    junk: list[str] = []


class Measure(Section):
    """A filtered stream of values: the events named in `on`, and the value at a path of each.

    `money` is kept in integer minor units of the playbook's currency, `number` in integer
    millionths, both exact under any order of addition; `text` is kept as it is. `value` may also be
    `session`, `source`, `hour` or `weekday`, see `operators/measures.py`. `where` is a condition over the
    event's properties by name, such as `discount > 0`. `closes` names the events that close what an
    event of `on` with the same value has opened (support cases).
    """

    on: list[str]
    value: str | None = None
    unit: Unit = "text"
    where: str | None = None
    closes: list[str] = []


class Feature(Section):
    """An aggregate of a measure over a window of event time; no window means lifetime. Or an
    `expression` over other features; where it cannot be computed (nothing there, a division by zero) it
    is null.

    `time_since` (the last value) and `time_since_first` are in ms. `distinct` is exact up to 64 values a
    pane, then an estimate with a standard error of 3.25 %. `top` is the most frequent value, of equals
    the first in order, exact up to 64 different values a pane. `open` counts keys opened and not closed,
    of the newest 256.
    """

    measure: str | None = None
    aggregate: Aggregate | None = None
    window: str | None = None
    expression: str | None = None


class Unless(Section):
    """An event that takes the reason away: for one key, or without `key` for all of the customer's."""

    on: str
    key: str | None = None


class Trigger(Section):
    """An intent worth acting on.

    `absence`: `on` happened, and none of `unless` within `wait` after the last time (timer restarts).
    `repeat`: `on` happened `times` times within `within`, with none of `unless` in between; with
    `distinct`, a path, different values count instead of times.
    `threshold`: `when`, a condition, holds after an event of `on`; once, until it does not hold any more
    or `unless` happened.
    `crossing`: the score `of` reached `above`; once, until it is below `until` (hysteresis; `above` unless
    given) or `unless` happened.
    `rise`: the score `of` is by `by` (a share such as `50%`, or an amount such as `0.2`) or more above its
    lowest within `within`, since the last rise.
    `drop`: the number at `value` is by `by` (`5%`, or an amount such as `10`) or more lower than the
    highest that this customer saw within `within`, since the last drop; none of `unless` in between.

    Those about scores have neither `on` nor `key`, and need the section of that score. All others are kept
    per value of `key`, which `absence` and `threshold` may leave out: then there is one a customer. An event
    of `on` counts only where `only` holds, a condition over its properties. With `basket`, product lines are
    collected from the events of `on` and an empty basket is no reason; `removes` names the events that take
    lines away. `where`, asked when the reason is there, is a condition over features and facts:
    `basket_value`, `basket_items` with `basket`, `times` of a `repeat`, `value_before` and `value_now` of a
    `drop` and a `rise`. `when` knows features and the basket.
    """

    kind: Literal["absence", "repeat", "threshold", "drop", "crossing", "rise"]
    channel: str
    purpose: str
    on: list[str] = []
    key: str = ""
    only: str | None = None
    unless: list[Unless] = []
    wait: str | None = None
    within: str | None = None
    times: int | None = None
    distinct: str | None = None
    when: str | None = None
    value: str | None = None
    unit: Literal["money", "number"] | None = None
    by: str | float | None = None
    of: ScoreNumber | None = None
    above: float | None = None
    until: float | None = None
    basket: bool = False
    removes: list[str] = []
    where: str | None = None
    cooldown: str = "0s"
    expires: str = "24h"
    facts: list[str] = []


class Profiles(Section):
    """Put a customer's profile on the `profiles` topic, `every` so often at most while it changes.

    `features`: which of them it shows.
    """

    every: str = "15m"
    features: Literal["all"] | list[str] = "all"


class Channel(Section):
    """What a channel needs to reach somebody: a known e-mail address, a phone number, the push token of a
    device, or nothing. Channels that are not named: `email`, `sms` and `push` need these, others nothing."""

    address: Literal["email", "phone", "push", "nothing"]


class Learnt(Section):
    """What models that learn online foretell. `features`: what else they are told. The first of
    `contestants` is the first champion; another takes over when its log loss was smaller by `margin` over
    `promote_after` labels. A snapshot that waits for its label is taken at a score, at most one in `apart`.
    """

    on: list[str]
    features: list[str] = []
    contestants: list[Contestant] = msgspec.field(
        default_factory=lambda: ["recursive", "logistic", "tree", "ensemble"]
    )
    promote_after: int = 5_000
    margin: float = 0.005


class Churn(Learnt, kw_only=True):
    """Who has churned: somebody with `least` purchases or more who does not buy within `horizon`.

    `on`: the events that are purchases; `value`: the path of what one is worth. Customers are scored on the
    events of `on` and `rescore`, and `every` so long; what asks for a score within `throttle` after the
    last is answered together, at its end (`1m`, or `every` where that is less). `apart` is the same as
    `every` where it is not given.
    """

    horizon: str
    value: str | None = None
    every: str = "7d"
    apart: str | None = None
    throttle: str | None = None
    least: int = 1
    rescore: list[str] = []


class Intent(Learnt, kw_only=True):
    """How likely a visit brings an order (an event of `on`): within `horizon`, a duration or `visit`.

    `signals`: name -> events that show that somebody is there, in the order of the way to an order; a visit
    ends where none comes for `gap`. A visitor is scored at every order and signal.
    """

    signals: dict[str, list[str]]
    horizon: str = "24h"
    gap: str = "30m"
    apart: str = "15m"
    contestants: list[Contestant] = msgspec.field(default_factory=lambda: ["curved", "recursive"])


class History(Section):
    """Keep every event under the identifier that it is attributed to, for `keep` of event time or for ever;
    what is older is folded into what lifetime features need."""

    keep: str | None = None


class Engine(Section):
    """How the scope runs. `shards` and `partitions` are fixed once a state directory exists.

    `idle: follow`: when all partitions are proven empty, time follows the broker's clock, `idle_delay`
    behind it. `settle`: how long after an outage of the broker emptiness is not believed. `refresh`: how
    often input topics are looked at for new partitions. `hot_*`: how many of each are kept decoded in
    memory, over all shards.
    """

    shards: int = 8
    partitions: int = 4
    epoch: str = "5s"
    cut: str = "10ms"
    cut_events: int = 2000
    heartbeat: str = "250ms"
    alignment: str = "60s"
    grace: str = "0s"
    idle: Literal["follow", "hold"] = "follow"
    idle_delay: str = "2s"
    settle: str = "10s"
    refresh: str = "30s"
    dedupe: str = "24h"
    hot_customers: int = 50_000
    hot_identifiers: int = 250_000
    hot_reference: int = 100_000


class Playbook(Section):
    scope: str
    sources: dict[str, Source]
    identifiers: dict[str, Identifier]
    reference: dict[str, Reference] = {}
    measures: dict[str, Measure] = {}
    features: dict[str, Feature] = {}
    triggers: dict[str, Trigger] = {}
    profiles: Profiles | None = None
    churn: Churn | None = None
    intent: Intent | None = None
    channels: dict[str, Channel] = {}
    history: History | None = None
    currency: str = "USD"
    region: str = "US"
    timezone: str = "UTC"
    engine: Engine = msgspec.field(default_factory=Engine)
