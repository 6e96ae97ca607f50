"""Profiles: what is known about a customer, told again a while after it has changed.

The first change since a customer's last profile sets an alarm `every` later; when it fires, one profile
goes out however much has changed in between. So a profile says what the customer's state is at its
`as_of`, and the last one says all that ever will be said until something changes. Windows that only
run empty as time passes are no change.

Of several profiles of a customer in one cut only the last goes out, as on any compacted topic. Which of
those in between are seen may therefore depend on the cuts; the last one does not.
"""

from __future__ import annotations

from operators import effects
from operators.churn import told
from operators.churn.customer import Churn
from operators.effects import Effect
from operators.facts import feature_values
from operators.playbook import Playbook
from operators.records import Core, Record
from schemas.outbound import ChurnScore, Consent, Profile

ALARM = "!profile"  # its name among a customer's alarms; no trigger can have it


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
        churn=_churn(record) if playbook.churn is not None and record.has("churn") else None,
    )
    return effects.profile(f"profile:{record.id}:{due}", body, arrived, "")


def told_of(record: Record) -> None:
    """The customer's profile of now goes out, or would: what it says of their score is no news any more."""
    if record.has("churn"):
        churn: Churn = record.part("churn")
        if churn.scored is not None:
            churn.told = churn.scored.churn


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


def _churn(record: Record) -> ChurnScore | None:
    churn: Churn = record.part("churn")
    score = churn.scored
    if score is None:
        return None
    return ChurnScore(
        probability=told.says(score, "churn_probability"),
        reasons=told.says(score, "churn_reasons"),
        scored_at=score.at,
        model=score.version,
        prior=told.says(score, "churn_prior"),
        expected_purchases=told.says(score, "expected_purchases"),
        expected_value=told.says(score, "expected_value"),
        next_purchase_at=score.next_purchase_at,
        value_rank=told.says(score, "value_rank"),
    )


def _consent(name: str, at: int, granted: bool) -> Consent:
    purpose, _, channel = name.partition("/")
    return Consent(purpose, channel, granted, at)
