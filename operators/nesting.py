"""How deep JSON is nested. A decoder goes as deep as the stack it is called on allows, which is not the same
everywhere; what is decided about an event must be."""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 500
SAFE: Final = 2 * MOST  # shorter JSON cannot be nested deeper
_token = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.S)


def too_deep(raw: bytes) -> bool:
    """Whether more than MOST arrays and objects lie in each other. Brackets in strings do not count.

    >>> too_deep(b"[" * 500 + b"]" * 500), too_deep(b"[" * 501 + b"]" * 501)
    (False, True)
    >>> too_deep(b'["' + b"[" * 501 + b'"]')
    False
    """
    if raw.count(b"[") + raw.count(b"{") <= MOST:
        return False
    depth = 0
    for token in _token.finditer(raw):
        first = raw[token.start()]
        if first in b"[{":
            depth += 1
            if depth > MOST:
                return True
        elif first in b"]}":
            depth -= 1
    return False
