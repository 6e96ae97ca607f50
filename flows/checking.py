"""`oncue check`: every mistake of playbooks, or what a good one amounts to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from operators import playbook
from operators.money import MILLION
from operators.playbook import BadPlaybook, Playbook
from operators.rules import Rule
from operators.shapes import Mistake
from schemas.durations import show


def check(file: Path) -> dict[str, Any]:
    """What there is to say about a playbook: `mistakes` and `notes` as line, path, problem; when it is good
    also what is in it. Raises OSError when it cannot be read."""
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError as error:
        bad = Mistake(1, "file", f"not UTF-8 text: byte {error.start}")
        return {"file": str(file), "mistakes": [bad._asdict()], "notes": []}
    try:
        book = playbook.load(text, str(file))
    except BadPlaybook as bad:
        return {"file": str(file), "mistakes": [one._asdict() for one in bad.mistakes], "notes": []}
    return {
        "file": str(file),
        "mistakes": [],
        "notes": [one._asdict() for one in playbook.notes(text)],
        "scope": book.scope,
        "sources": book.topics,
        "reference": book.reference,
        "identifiers": [policy.type for policy in book.policies],
        "measures": list(book.measures),
        "features": list(book.features),
        "triggers": {name: describe(book, rule) for name, rule in book.rules.items()},
    }


def describe(book: Playbook, rule: Rule) -> str:
    """What a trigger waits for, in words."""
    begins, ends = _events(book, rule, True), _events(book, rule, False)
    if rule.kind == "absence":
        said = f"{begins}, then no {ends or 'more of it'} for {show(rule.wait)}"
    elif rule.kind == "repeat":
        times = "times" if rule.what is None else "times with something different"
        said = f"{begins} {rule.times} {times} within {show(rule.within)}"
        said += f", no {ends} in between" if ends else ""
    elif rule.kind == "threshold":
        assert rule.when is not None
        said = f"{rule.when.text} after {begins}" + (f", until {ends}" if ends else "")
    elif rule.kind == "crossing":
        said = f"{rule.of} {rule.above:g} or more, again after less than {rule.until:g}"
        said += f" or {ends}" if ends else ""
    elif rule.kind == "rise":
        by = f"{rule.by_share * 100:g} %" if rule.by_share else f"{rule.by_amount / MILLION:g}"
        said = f"{rule.of} up by {by} or more within {show(rule.within)}"
        said += f", no {ends} in between" if ends else ""
    else:
        said = f"{begins} with less than within {show(rule.within)} before"
        said += f", no {ends} in between" if ends else ""
    return f"{said} -> {rule.channel}, {rule.purpose}"


def _events(book: Playbook, rule: Rule, begins: bool) -> str:
    return " or ".join(
        event
        for event, reactions in book.reactions.items()
        if any(it.rule is rule and it.begins == begins for it in reactions)
    )
