"""Guards: what may hold a trigger back, in the order in which they are asked."""

from __future__ import annotations

from operators.playbook import Rule
from operators.records import Core


def held_back(core: Core, rule: Rule, now: int, late: int) -> str:
    """Why the rule may not act on this customer at `now`, or an empty string.

    `late` is how far the watermark is past `now`; consent that is unknown is a no. Times in ms.
    """
    if late > rule.expires:
        return "expired"
    consent = core.consents.get(f"{rule.purpose}/{rule.channel}")
    if consent is None:
        return "consent-unknown"
    if not consent[1]:
        return "consent-refused"
    last = core.cooldowns.get(rule.name)
    if last is not None and now - last < rule.cooldown:
        return "cooldown"
    return ""
