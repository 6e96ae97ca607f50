"""`--model` as people write it, in `oncue replay` and in `oncue customer --at`."""

from __future__ import annotations

import pytest

from flows import fixed
from flows.fixed import BadModel
from operators import playbook as playbooks
from operators.playbook import Playbook
from tests.events import RETAIL, retail
from tests.models import linear

SHOP = retail()  # foretells churn and intent
CHURN, INTENT = (SHOP.foretold[subject].definition for subject in ("churn", "intent"))
OTHER = CHURN._replace(horizon=1)
THERE = [linear(CHURN, 7), linear(OTHER, 8), b"{}", linear(INTENT, 7), linear(CHURN, 9)]


def only_churn() -> Playbook:
    text = RETAIL.read_text()
    words = ("intent: #", "profiles:", "  about_to_leave:", "  churn_risk:")
    start, end, leaving, risk = (text.index(it) for it in words)
    return playbooks.load(text[:start] + text[end:leaving] + text[risk:])


def mistakes(*asked: str, book: Playbook = SHOP) -> list[str]:
    with pytest.raises(BadModel) as bad:
        fixed.models(asked, book, lambda: THERE, "shop.models")
    return str(bad.value).splitlines()


def test_each_subject_has_a_model_of_its_own_and_0_is_the_rule() -> None:
    asked = ["churn=9", "intent=7"]
    assert fixed.models(asked, SHOP, lambda: THERE, "shop.models") == {"churn": THERE[4], "intent": THERE[3]}
    assert fixed.versions(asked, SHOP) == {"churn": 9, "intent": 7}
    assert fixed.models(["churn=0"], SHOP, lambda: THERE, "shop.models") == {"churn": b""}
    assert fixed.models([], SHOP, lambda: THERE, "shop.models") == {}


def test_a_bare_version_is_enough_where_only_one_thing_is_foretold() -> None:
    assert fixed.versions(["7"], only_churn()) == {"churn": 7}
    (said,) = mistakes("7")
    assert said == (
        "--model 7: the playbook foretells churn and intent. Say which of them: --model churn=7 or "
        "--model intent=7"
    )


def test_all_mistakes_are_told_at_once_each_with_what_there_is() -> None:
    said = mistakes("churn=8", "intent=3", "sales=1", "intent=x", "intent=7")
    assert said == [
        "--model sales=1: the playbook has no section 'sales', it foretells churn and intent",
        "--model intent=x: write SUBJECT=VERSION, such as churn=7, or only the version",
        "--model intent=7: it is intent=3 already; a subject has one model",
        "--model churn=8: model 8 was learnt for another definition of churn than the playbook's: start the "
        "learning flow with the same playbook. Of its definition there are 7, 9",
        "--model intent=3: shop.models holds no intent model 3. Of the playbook's definition there are 7",
    ]
    assert mistakes("intent=7", book=only_churn()) == [
        "--model intent=7: the playbook has no section 'intent', it foretells churn"
    ]
