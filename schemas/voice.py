"""What customers say, in the style of the Segment Spec: care cases, surveys, feedback, mentions, consent."""

from __future__ import annotations

from typing import Annotated

import msgspec

from schemas.common import Id

Sentiment = Annotated[float, msgspec.Meta(ge=-1, le=1)]


class CaseOpened(msgspec.Struct, gc=False):
    """A customer asked for help. Its end is the Case Closed with the same `case_id`."""

    case_id: Id
    subject: str | None = None
    topic: str | None = None
    channel: str | None = None
    priority: str | None = None
    order_id: Id | None = None
    product_id: Id | None = None
    store_id: Id | None = None


class CaseClosed(msgspec.Struct, gc=False):
    case_id: Id
    resolution: str | None = None
    topic: str | None = None
    channel: str | None = None


class SurveyAnswered(msgspec.Struct, gc=False):
    """One answer. `kind` is nps (score 0 to 10), csat (1 to 5), ces (1 to 7) or the sender's own word."""

    survey_id: Id
    kind: str | None = None
    score: float | None = None
    question_id: Id | None = None
    answer: str | None = None
    order_id: Id | None = None
    case_id: Id | None = None


class FeedbackGiven(msgspec.Struct, gc=False):
    """Feedback that nobody asked for."""

    feedback_id: Id | None = None
    text: str | None = None
    rating: float | None = None
    sentiment: Sentiment | None = None
    topic: str | None = None
    product_id: Id | None = None
    order_id: Id | None = None
    store_id: Id | None = None


class BrandMentioned(msgspec.Struct, gc=False):
    """A post about the brand on a social network. `sentiment` from -1 (bad) to 1 (good)."""

    mention_id: Id | None = None
    network: str | None = None
    handle: str | None = None
    text: str | None = None
    url: str | None = None
    sentiment: Sentiment | None = None
    reach: Annotated[int, msgspec.Meta(ge=0)] | None = None


class ConsentUpdated(msgspec.Struct, gc=False):
    """One purpose on one channel. What was never granted is not consented to."""

    purpose: Id
    channel: Id
    granted: bool


EVENTS: dict[str, type[msgspec.Struct]] = {
    "Case Opened": CaseOpened,
    "Case Closed": CaseClosed,
    "Survey Answered": SurveyAnswered,
    "Feedback Given": FeedbackGiven,
    "Brand Mentioned": BrandMentioned,
    "Consent Updated": ConsentUpdated,
}
