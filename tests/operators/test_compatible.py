"""Which changes of identifiers a kept identity graph can take."""

from __future__ import annotations

import pytest

from operators.compatible import Linking, differences, linking
from tests.events import RETAIL

OLD = Linking("US", {"user_id": 1, "email": 0, "phone_name": 0})


def test_what_a_playbook_links_by_is_read_from_its_text() -> None:
    assert linking(RETAIL.read_text()) == Linking(
        "US",
        {"user_id": 1, "loyalty": 1, "email": 0, "phone_name": 0, "anonymous_id": 0, "device_id": 0},
    )
    assert linking("scope: shop\nidentifiers: {email: }") == Linking("US", {"email": 0})


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        Linking("US", {"phone_name": 0, "email": 0, "user_id": 1}),
        Linking("US", {**OLD.limits, "device_id": 0}),
        Linking("US", {**OLD.limits, "user_id": 0}),
        Linking("US", {**OLD.limits, "user_id": 3}),
    ],
)
def test_more_types_and_higher_limits_are_fine(new: Linking) -> None:
    assert differences(OLD, new) == []


def test_each_change_that_would_make_the_graph_wrong_is_named() -> None:
    found = differences(OLD, Linking("DE", {"user_id": 1, "phone_name": 2}))
    assert found == [
        "identifiers.email is gone, but people were linked by it",
        "identifiers.phone_name.limit is 2 and was no limit; people may have more",
        "region is DE and was US; phone numbers were completed with it",
    ]
