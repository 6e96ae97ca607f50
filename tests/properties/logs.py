"""Random but plausible logs: a handful of people, some of whom turn out to be the same."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from hypothesis import settings
from hypothesis import strategies as st

from operators.playbook import Playbook
from tests.events import at, consent, event, inputs, retail, track
from tests.simulate import Inputs, Step, cut_up

SHORT = (
    ("cooldown: 4h", "cooldown: 10m"),
    ("cooldown: 2h", "cooldown: 10m"),
    ("cooldown: 1h", "cooldown: 0s"),
    ("cooldown: 12h", "cooldown: 0s"),
    ("cooldown: 24h", "cooldown: 10m"),
    ("expires: 2h", "expires: 20m"),
    ("times: 5", "times: 2"),
    ("when: basket_value >= 100000", "when: basket_value >= 3000"),
    ("profiles: {every: 1h}", "profiles: {every: 5m}"),
    ("horizon: 60d", "horizon: 45m"),
    ("every: 7d", "every: 20m"),
    ("horizon: 24h", "horizon: 50m"),
    ("gap: 30m", "gap: 10m\n  apart: 3m"),
    ("intent_probability >= 0.25", "intent_probability >= 0.04"),
    ("scope: shop", "scope: shop\nengine: {alignment: 10m, dedupe: 30m}"),
)
LIMITED = retail(*SHORT)
UNLIMITED = retail(*SHORT, ("{limit: 1}", "{}"))

# LAWS=5000 pytest tests/properties looks further.
law = settings(
    deadline=None, derandomize=True, database=None, max_examples=int(os.environ.get("LAWS", "100"))
)

ANN = {"email": "ann@example.org"}
PEOPLE: list[dict[str, Any]] = [
    {"anonymous": "a0"}, {"anonymous": "a1"}, {"anonymous": "a2"}, {"user": "u0"}, {"user": "u1"},
    {"user": "u0", "anonymous": "a0"}, {"user": "u0", "anonymous": "a1"}, {"user": "u1", "anonymous": "a2"},
    {"user": "u1", "anonymous": "a1"}, {"device": "d0", "anonymous": "a0"},
    {"device": "d0", "anonymous": "a2"}, {"user": "u1", "traits": ANN}, {"anonymous": "a2", "traits": ANN},
]  # fmt: skip
ALONE, LINKS = PEOPLE[:5], PEOPLE[5:]
DEEDS: list[tuple[str, dict[str, Any]]] = [
    ("Product Viewed", {"product_id": "p0"}),
    ("Product Viewed", {"product_id": "p0", "category": "g", "price": 20}),
    ("Product Viewed", {"product_id": "p0", "category": "g", "price": 15}),
    ("Product Viewed", {"product_id": "p1", "category": "g"}),
    ("Products Searched", {"query": "q0"}),
    ("Product Added", {"product_id": "p0", "cart_id": "c0", "price": 19.99}),
    ("Product Added", {"product_id": "p0", "cart_id": "c1", "price": 19.99, "quantity": 2}),
    ("Product Added", {"product_id": "p1", "cart_id": "c0"}),
    ("Product Added", {"product_id": "p1", "price": 5, "quantity": 3}),
    ("Product Removed", {"product_id": "p0", "cart_id": "c0"}),
    ("Product Removed", {"product_id": "p1"}),
    ("Checkout Started", {"cart_id": "c0"}),
    ("Order Completed", {"order_id": "o0", "total": 9, "cart_id": "c0", "products": [{"product_id": "p0"}]}),
    ("Order Completed", {"order_id": "o1", "total": 7}),
    ("Item Returned", {"product_id": "p0"}),
    ("Consent Updated", {"purpose": "marketing", "channel": "email", "granted": False}),
    ("Consent Updated", {"purpose": "marketing", "channel": "push", "granted": True}),
    ("Email Bounced", {}),
    ("Product Added", {"product_id": 7}),
    ("identify", {}),
    ("identify", {}),
]  # fmt: skip


class Log(NamedTuple):
    playbook: Playbook
    inputs: Inputs
    steps: list[Step]
    end: int

    def __repr__(self) -> str:
        """What is needed to read a counterexample."""
        rows = [
            f"{place} {offset} {raw.decode()}"
            for place in self.inputs
            for offset, _, raw in self.inputs[place]
        ]
        return "\n".join(["", *rows, *map(str, self.steps)])


class Act(NamedTuple):
    """Somebody does something `gap` minutes after the one before; it is told `late` minutes late."""

    gap: float
    late: int
    who: dict[str, Any]
    deed: tuple[str, dict[str, Any]]
    topic: int
    again: str  # "", "same" (delivered twice) or "other" (the message id of the event before)


def acts(
    late: bool = True, reuse: bool = True, who: list[dict[str, Any]] = PEOPLE
) -> st.SearchStrategy[list[Act]]:
    one = st.builds(
        Act,
        st.sampled_from([0, 0.5, 1, 3, 8, 16]),
        st.sampled_from([0, 0, 0, 2, 20] if late else [0]),
        st.sampled_from(who),
        st.sampled_from(DEEDS),
        st.sampled_from([0, 1]),
        st.sampled_from(["", "", "", "same", "other"] if reuse else ["", "same"]),
    )
    return st.lists(one, min_size=4, max_size=16)


def written(acts: list[Act], consented: bool = True, rest: float = 300) -> tuple[list[list[bytes]], int]:
    """The events of each topic in the order in which they come, and the minutes they end at."""
    topics: list[list[bytes]] = [[], []]
    if consented:
        for person in ALONE:
            topics[0] += [consent(0, channel=channel, **person) for channel in ("email", "push")]
    now, message = 1.0, "m0"
    for number, act in enumerate(acts):
        now += act.gap
        message = message if act.again == "other" else f"m{number}"
        when = max(0.0, now - act.late)
        name, properties = act.deed
        if name == "identify":
            raw = event("identify", when, id=message, **act.who)
        else:
            raw = track(name, when, id=message, **act.who, **properties)
        topics[act.topic] += [raw, raw] if act.again == "same" else [raw]
    for topic in topics:
        topic.append(event("page", now + rest, anonymous="clock"))
    return topics, round(now + rest)


@st.composite
def logs(draw: st.DrawFn, playbook: Playbook = LIMITED, late: bool = True, reuse: bool = True) -> Log:
    """A log and how it is cut: a few records of each partition at a time."""
    consented = draw(st.sampled_from([True, True, True, False]))
    topics, end = written(draw(acts(late, reuse)), consented, draw(st.sampled_from([1, 12, 300])))
    log = inputs(*topics)
    rounds = draw(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=8))
    return Log(playbook, log, cut_up(playbook, log, rounds), at(end))
