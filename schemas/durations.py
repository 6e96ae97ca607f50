"""Durations as people write them: `500ms`, `30s`, `15m`, `24h`, `7d`. Milliseconds inside."""

from __future__ import annotations

import re

_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORM = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$")


def parse(text: str) -> int:
    """Milliseconds of a written duration. Raises ValueError with an example of the right form.

    >>> parse("15m"), parse("1.5s"), parse("7d")
    (900000, 1500, 604800000)
    """
    found = _FORM.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a duration; write a number and ms, s, m, h or d, such as 15m")
    return round(float(found[1]) * _UNITS[found[2]])


def show(ms: int) -> str:
    """The shortest way to write `ms`.

    >>> show(900_000), show(86_400_000), show(1_500)
    ('15m', '1d', '1500ms')
    """
    for unit in ("d", "h", "m", "s"):
        if ms and ms % _UNITS[unit] == 0:
            return f"{ms // _UNITS[unit]}{unit}"
    return f"{ms}ms"


def say(ms: int) -> str:
    """`ms` for people: the two largest units of it.

    >>> say(93_784_000), say(950_000), say(420), say(0)
    ('1d 2h', '15m 50s', '420ms', '0s')
    """
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    said: list[tuple[int, str]] = []
    for unit in ("d", "h", "m", "s"):
        count, ms = divmod(ms, _UNITS[unit])
        if count or said:
            said.append((count, unit))
    return " ".join(f"{count}{unit}" for count, unit in said[:2] if count)
