"""Events of the tests, written short: `track("Product Added", 5, user="u1", cart_id="c1")`.

Times are minutes after ten o'clock on a day of no importance, `at(5)` in ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson

from operators import playbook as playbooks
from operators.playbook import Playbook
from tests.outcome import Outcome
from tests.simulate import Simulation, Step, cut_up

MINUTE = 60_000
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
RETAIL = Path(__file__).parents[1] / "flows" / "playbooks" / "retail.yaml"
Inputs = dict[str, list[tuple[int, int, bytes]]]


def at(minutes: float) -> int:
    return round(START.timestamp() * 1000 + minutes * MINUTE)


def stamp(minutes: float) -> str:
    return (START + timedelta(minutes=minutes)).isoformat()


@cache
def retail(*changes: tuple[str, str]) -> Playbook:
    """The retail playbook, with pieces of its text replaced."""
    text = RETAIL.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return playbooks.load(text)


def event(
    kind: str,
    minutes: float,
    *,
    id: str = "",
    user: Any = None,
    anonymous: Any = None,
    device: str | None = None,
    traits: dict[str, Any] | None = None,
    name: str | None = None,
    properties: dict[str, Any] | None = None,
    **more: Any,
) -> bytes:
    """One event in the Segment Spec. Without `id` its message id is derived from all the rest."""
    body = {
        "type": kind,
        "timestamp": stamp(minutes),
        "userId": user,
        "anonymousId": anonymous,
        "context": {"device": {"id": device}} if device else None,
        "traits": traits,
        "event": name,
        "properties": properties,
        **more,
    }
    body = {key: value for key, value in body.items() if value is not None}
    return orjson.dumps({"messageId": id or f"m-{crc32(orjson.dumps(body)):08x}", **body})


def track(name: str, minutes: float, *, id: str = "", **given: Any) -> bytes:
    """A track event; what says nothing of who it was is a property."""
    about = ("user", "anonymous", "device", "traits", "context")
    who = {key: given.pop(key) for key in about if key in given}
    return event("track", minutes, id=id, name=name, properties=given, **who)


def consent(
    minutes: float, *, channel: str = "email", purpose: str = "marketing", granted: bool = True, **who: Any
) -> bytes:
    """A word on consent; who says yes also says where to reach them, unless `traits` says otherwise."""
    name = "-".join(str(value) for key, value in who.items() if key not in ("traits", "id"))
    if granted and channel == "email":
        who = {"traits": {"email": f"{name}@example.org"}, **who}
    if granted and channel == "push":
        who = {"context": {"device": {"token": f"token-{name}"}}, **who}
    return track("Consent Updated", minutes, channel=channel, purpose=purpose, granted=granted, **who)


def inputs(*topics: Sequence[bytes], arrived: float = 1_000_000) -> Inputs:
    """Each sequence is partition 0 of its topic: shop.web, shop.app, shop.pos."""
    names = ("shop.web/0", "shop.app/0", "shop.pos/0")
    return {
        name: [(offset, at(arrived), raw) for offset, raw in enumerate(rows)]
        for name, rows in zip(names, topics, strict=False)
    }


def run(*events: bytes, until: float | None = None, playbook: Playbook | None = None) -> Outcome:
    """Each event in a cut of its own, in the order given; then event time passes up to `until`."""
    shop = playbook or retail()
    log = inputs(events)
    simulation = Simulation(shop, log)
    for step in cut_up(shop, log, [[1]] * len(events)):
        simulation.cut(step)
    if until is not None:
        simulation.cut(Step({}, at(until)))
    return simulation.finish().outcome()
