"""Guards: what may hold a trigger back, in the order in which they are asked."""

from __future__ import annotations

from operators.parts import Core
from operators.rules import Rule


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
    if rule.address and not _reachable(core, rule.address, consent[0]):
        return "unreachable"
    last = core.cooldowns.get(rule.name)
    if last is not None and now - last < rule.cooldown:
        return "cooldown"
    return ""


def _reachable(core: Core, kind: str, consented: int) -> bool:
    """Whether an address of this kind is known that works. One that failed counts again when the customer
    has consented since: they took the trouble, let it be tried once more."""
    prefix = f"{kind}:"
    return any(
        failed < 0 or failed < consented for name, failed in core.addresses.items() if name.startswith(prefix)
    )
