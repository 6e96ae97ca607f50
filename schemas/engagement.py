"""Messages to the customer and the app: Segment's email and native mobile specs; SMS in the same style."""

from __future__ import annotations

import msgspec

from schemas.common import Id


class Email(msgspec.Struct, gc=False):
    """Email Delivered, Opened, Link Clicked, Bounced, Marked as Spam, and Unsubscribed."""

    email_id: Id | None = None
    email_subject: str | None = None
    campaign_id: Id | None = None
    campaign_name: str | None = None
    link_id: Id | None = None
    link_url: str | None = None
    list_id: Id | None = None
    list_name: str | None = None


class Sms(msgspec.Struct, gc=False):
    """Ours: SMS Sent, Delivered, Failed, Link Clicked and Replied. `text` is what the customer replied."""

    sms_id: Id | None = None
    campaign_id: Id | None = None
    campaign_name: str | None = None
    link_id: Id | None = None
    link_url: str | None = None
    text: str | None = None
    reason: str | None = None


class AppCampaign(msgspec.Struct, gc=False):
    name: str | None = None
    source: str | None = None
    medium: str | None = None
    content: str | None = None
    ad_creative: str | None = None
    ad_group: str | None = None


class Push(msgspec.Struct, gc=False):
    """Push Notification Received, Tapped and Bounced."""

    action: str | None = None
    campaign: AppCampaign | None = None


class Install(msgspec.Struct, gc=False):
    """Install Attributed."""

    provider: str | None = None
    campaign: AppCampaign | None = None


class DeepLink(msgspec.Struct, gc=False):
    """Deep Link Clicked and Deep Link Opened."""

    provider: str | None = None
    url: str | None = None


class Application(msgspec.Struct, gc=False):
    """Application Installed, Opened, Backgrounded, Updated, Uninstalled and Crashed."""

    version: str | None = None
    build: str | int | None = None
    previous_version: str | None = None
    previous_build: str | int | None = None
    from_background: bool | None = None
    referring_application: str | None = None
    url: str | None = None


EVENTS: dict[str, type[msgspec.Struct]] = {
    "Email Delivered": Email,
    "Email Opened": Email,
    "Email Link Clicked": Email,
    "Email Bounced": Email,
    "Email Marked as Spam": Email,
    "Unsubscribed": Email,
    "SMS Sent": Sms,
    "SMS Delivered": Sms,
    "SMS Failed": Sms,
    "SMS Link Clicked": Sms,
    "SMS Replied": Sms,
    "Push Notification Received": Push,
    "Push Notification Tapped": Push,
    "Push Notification Bounced": Push,
    "Install Attributed": Install,
    "Deep Link Clicked": DeepLink,
    "Deep Link Opened": DeepLink,
    "Application Installed": Application,
    "Application Opened": Application,
    "Application Backgrounded": Application,
    "Application Updated": Application,
    "Application Uninstalled": Application,
    "Application Crashed": Application,
}
