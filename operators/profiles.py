"""Profiles: what is known about a customer, told again a while after it has changed.

The first change since a customer's last profile sets an alarm `every` later; when it fires, one profile
goes out however much has changed in between. So a profile says what the customer's state is at its
`as_of`, and the last one says all that ever will be said until something changes. Windows that only
run empty as time passes are no change.

Of several profiles of a customer in one cut only the last goes out, as on any compacted topic. Which of
those in between are seen may therefore depend on the cuts; the last one does not.
"""

from __future__ import annotations

from typing import Final, TypeVar

from operators import effects, told
from operators.effects import Effect
from operators.facts import feature_values, newest_score
from operators.foretold import TOLD
from operators.parts import Core
from operators.playbook import Playbook
from operators.records import Record
from schemas.outbound import ChurnScore, Consent, IntentScore, Profile

Form = TypeVar("Form", ChurnScore, IntentScore)
ALARM: Final = "!profile"  # its name among a customer's alarms; no trigger can have it


def plan(core: Core, changed: int, every: int) -> None:
    """A profile is due `every` ms after `changed`, if none is due already."""
    if ALARM not in core.alarms:
        core.alarms[ALARM] = changed + every


def profile(playbook: Playbook, record: Record, due: int, arrived: int) -> Effect:
    """The customer's profile that was due at `due` (ms of event time)."""
    assert playbook.profiles is not None
    core: Core = record.part("core")
    as_of = max(due, core.last_seen)
    body = Profile(
        customer=record.id,
        as_of=as_of,
        first_seen=core.first_seen,
        last_seen=core.last_seen,
        features=feature_values(playbook, record, playbook.profiles.features, as_of),
        consents=[_consent(name, *said) for name, said in sorted(core.consents.items())],
        currency=playbook.currency,
        churn=_score(playbook, record, "churn", as_of, ChurnScore),
        intent=_score(playbook, record, "intent", as_of, IntentScore),
    )
    return effects.profile(f"profile:{record.id}:{due}", body, arrived, "")


def told_of(record: Record) -> None:
    """The customer's profile of now goes out, or would: what it says of their scores is no news any more."""
    for subject, (news, note) in TOLD.items():
        if record.has(subject) and news(record.look(subject)):
            note(record.part(subject))


def merged(record: Record, survivor: str, at: int, arrived: int) -> Effect:
    """The last profile of an id that is retired: it names the survivor and holds nothing of its own."""
    core: Core = record.part("core")
    body = Profile(
        customer=record.id,
        as_of=max(at, core.last_seen),
        first_seen=core.first_seen,
        last_seen=core.last_seen,
        merged_into=survivor,
    )
    return effects.profile(f"profile:{record.id}:merged", body, arrived, "")


def _score(playbook: Playbook, record: Record, subject: str, at: int, form: type[Form]) -> Form | None:
    """What the newest score of `subject` says at `at`."""
    score = newest_score(playbook, record, subject, at)
    if score is None:
        return None
    said = {name: say(score) for name, say in told.FIELDS[subject]}
    found: Form = form(scored_at=score.at, **said)
    return found


def _consent(name: str, at: int, granted: bool) -> Consent:
    purpose, _, channel = name.partition("/")
    return Consent(purpose, channel, granted, at)
