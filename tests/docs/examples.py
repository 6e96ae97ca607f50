"""The worked examples of a page: a piece of a playbook, a short log, and what comes of it.

Without a piece of a playbook in front of them, `log` and `result` are about the playbook that ships.

A `log` block has a line per event: time, who, what, and its properties as name=value; a time alone lets
time pass. Who is a user (`ann`), a visitor (`(cookie)`) or both at once (`ann(cookie)`); `push_token` is
their device's. A `result` block has everything that goes out, in the order of time, with the facts that
the page chose to show, and features of somebody at a moment. Profiles are only looked at where it shows one.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import orjson

from operators import playbook as playbooks
from operators.identity import customer_id
from tests.events import RETAIL, START, at, event, run
from tests.outcome import Outcome

ROOT = Path(__file__).parents[2]
BEFORE = "scope: shop\nsources: {web: {}}\nidentifiers: {user_id: {}, email: {}, anonymous_id: {}}\n"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.S | re.M)
_TIME = re.compile(r"(?:\+(\d+)d )?(\d\d):(\d\d)(?: |$)")
_WHO = re.compile(r"(\w*)(?:\((\w+)\))?$")


def shim(folder: Path) -> Path:
    """Make a folder with the program under the name that its users know, for a PATH."""
    oncue = folder / ".venv" / "bin" / "oncue"
    oncue.parent.mkdir(parents=True)
    oncue.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m flows.cli "$@"\n')
    oncue.chmod(0o755)
    return oncue.parent


class Example(NamedTuple):
    line: int
    playbook: str
    log: str
    result: str


def blocks(page: Path) -> list[tuple[int, str, str]]:
    """Line, language and content of every fenced block."""
    text = page.read_text()
    return [(text.count("\n", 0, it.start()) + 1, it[1], it[2]) for it in _BLOCK.finditer(text)]


def examples(page: Path) -> list[Example]:
    """Every `log` block that a `result` block follows, with the `yaml` block in front of it."""
    found = [(0, "", ""), *blocks(page)]
    return [
        Example(line, whole(before) if kind == "yaml" else RETAIL.read_text(), log, result)
        for (_, kind, before), (line, language, log), (_, then, result) in zip(
            found, found[1:], found[2:], strict=False
        )
        if (language, then) == ("log", "result")
    ]


def whole(text: str) -> str:
    """A piece of a playbook with the sections that every playbook needs."""
    return text if re.search(r"^scope:", text, re.M) else BEFORE + text


def results(example: Example) -> list[str]:
    """What comes of the example's log, as it is written in a result block."""
    book = playbooks.load(example.playbook, "example")
    events, names, end = [], {}, 0.0
    for number, line in enumerate(example.log.splitlines()):
        minutes, rest = _time(line)
        end = max(end, minutes)
        if rest:
            raw, names_of = _event(number, minutes, rest)
            events.append(raw)
            names |= names_of
    outcome = run(*events, until=end, playbook=book)
    told = _Told(outcome, names, example.result)
    asked = [line for line in example.result.splitlines() if " at " in line.split(":")[0]]
    return told.lines() + [told.features(line) for line in asked]


def _time(line: str) -> tuple[float, str]:
    found = _TIME.match(line)
    assert found, f"no time: {line}"
    days, hours, minutes = int(found[1] or 0), int(found[2]), int(found[3])
    return days * 1440 + (hours - START.hour) * 60 + minutes, line[found.end() :].strip()


def _event(number: int, minutes: float, rest: str) -> tuple[bytes, dict[str, str]]:
    who, *words = shlex.split(rest)
    found = _WHO.match(who)
    assert found, f"nobody: {rest}"
    user, visitor = found[1] or None, found[2]
    properties = {}
    name = []
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            properties[key] = _value(value)
        else:
            name.append(word)
    what = " ".join(name)
    given: dict[str, Any] = {"user": user, "anonymous": visitor, "id": f"m{number}"}
    if (token := properties.pop("push_token", None)) is not None:
        given["context"] = {"device": {"token": token}}
    names = {}
    if user:
        names[customer_id("shop", f"user_id:{user}")] = user
    if visitor:
        names[customer_id("shop", f"anonymous_id:{visitor}")] = f"({visitor})"
    if what == "identify":
        return event("identify", minutes, traits=properties or None, **given), names
    if what in ("page", "screen"):
        return event(what, minutes, properties=properties, **given), names
    return event("track", minutes, name=what, properties=properties, **given), names


def _value(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


class _Told:
    def __init__(self, outcome: Outcome, names: dict[str, str], wanted: str) -> None:
        self.outcome = outcome
        self.names = names
        self.wanted = set(re.findall(r"(\w+)=", wanted))
        self.profiles = re.search(r"^(?:\+\d+d )?\S+ profile ", wanted, re.M) is not None

    def lines(self) -> list[str]:
        out, name = self.outcome, self.names
        found = [
            (it.decided_at, f"trigger {it.rule} {name[it.customer]} {it.key} {self._facts(it.facts)}")
            for it in out.triggers.values()
        ]
        found += [
            (it.cancelled_at, f"cancelled {it.rule} {name[it.customer]} {it.key}: {it.reason}")
            for it in out.cancelled.values()
        ]
        found += [
            (it.decided_at, f"held back {it.rule} {name[it.customer]} {it.key}: {it.reason}")
            for it in out.decisions.values()
        ]
        found += [
            (
                msgspec.json.decode(out.effects[f"merge:{old}:{new}"].body)["at"],
                f"merge {name[old]} into {name[new]}",
            )
            for old, new in out.identities.items()
        ]
        if self.profiles:
            found += [
                (it.as_of, f"profile {name[it.customer]} {self._says(it)}") for it in out.profiles.values()
            ]
        letters = [f"dead letter {letter.reason}" for letter in out.dead_letters.values()]
        return [f"{_clock(when)} {' '.join(said.split())}" for when, said in sorted(found)] + letters

    def features(self, line: str) -> str:
        """`ann at 10:30: a=1 b=2` with the values that they have."""
        who, _, rest = line.partition(" at ")
        moment, _, asked = rest.partition(": ")
        id = next(id for id, name in self.names.items() if name == who)
        found = self.outcome.features_of(self.outcome.survivor(id), at(_time(moment)[0]))
        names = [word.partition("=")[0] for word in asked.split()]
        return f"{who} at {moment}: {self._facts({name: found[name] for name in names})}"

    def _says(self, profile: Any) -> str:
        if profile.merged_into:
            return f"is now {self.names[profile.merged_into]}"
        return self._facts(profile.features)

    def _facts(self, facts: dict[str, Any]) -> str:
        return " ".join(
            f"{name}={'-' if value is None else value}"
            for name, value in facts.items()
            if name in self.wanted
        )


def _clock(ms: int) -> str:
    minutes = (ms - at(0)) // 60_000 + START.hour * 60
    days, rest = divmod(minutes, 1440)
    return (f"+{days}d " if days else "") + f"{rest // 60:02}:{rest % 60:02}"
