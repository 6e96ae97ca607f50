"""The page about a learning flow: complete, true to the figures, and readable without a network."""

import re
from functools import cache
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from operators.churn import charts, report, vector
from operators.churn.definition import Terms
from operators.churn.learner import Course, Learner
from operators.churn.vector import INPUTS
from schemas.churn import Metrics
from tests.operators.churn.people import MONTH, examples, shop


@cache
def reports() -> tuple[Metrics, ...]:
    learner = Learner(Course(tuple(INPUTS), MONTH.horizon, "shop", "0.0", terms=Terms(labels=500)))
    records = examples(shop(150, 200))
    out = [one for offset, record in enumerate(records) for one in learner.apply(offset, record)]
    return tuple(one.metrics for one in out if one.metrics is not None)


class Reader(HTMLParser):
    """Elements that are open, which all must be closed, and every word."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "line", "path"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "path"):
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> str:
    reader = Reader()
    reader.feed(page)
    style = page.partition("<style>")[2].partition("</style>")[0]
    assert style.count("{") == style.count("}") > 0, "an open block swallows all rules after it"
    assert reader.open == []
    return reader.text


def page_of(found: list[Metrics], scope: str = "shop") -> str:
    return report.page(scope, "churn", found, vector.words())


def test_a_page_has_every_chart_its_table_and_nothing_from_the_network() -> None:
    page = page_of(reports())
    text = read(page)
    assert page.count("<svg") == page.count('role="img" aria-label=') == 4
    assert page.count("<details>") == 4, "each chart's numbers can be read"
    assert not re.search(r"""(src|href)=|@import|url\(|http""", page)
    assert "prefers-color-scheme: dark" in page
    newest = reports()[-1]
    for name, figures in newest.total.items():
        assert name in text
        assert f"{figures.auc:.3f}" in text
    assert "bought once" in text
    assert not re.search(r"\bnan\b", page)


def test_a_page_of_a_single_report_or_of_a_name_like_markup_is_whole() -> None:
    read(page_of(reports()[:1]))
    nothing = replace(reports()[0], tenths=[(0.0, 0.0)] * 10, weights={}, figures={})
    read(page_of([nothing]))
    assert "<b>" not in page_of(reports(), "<b>")


def test_drift_is_marked_where_it_was_seen() -> None:
    quiet = [replace(one, drifts=[]) for one in reports()]
    assert 'class="mark"' not in page_of(quiet)
    assert 'class="drift"' not in page_of(quiet)
    loud = [*quiet[:5], replace(quiet[5], drifts=["tree"]), *quiet[6:]]
    page = page_of(loud)
    assert page.count('class="mark"') == 1
    assert 'class="drift"' in page
    assert "the loss of tree changed (ADWIN)" in page


def test_tenths_and_curves_of_reports_add_up_to_their_labels() -> None:
    for one in reports():
        judged = one.figures[one.champion].get("all")
        labels = judged.labels if judged else 0
        positive = judged.positive if judged else 0
        assert sum(n for n, _ in one.tenths) == pytest.approx(labels)
        assert sum(hit for _, hit in one.tenths) == pytest.approx(positive)
        assert sum(n for n, _, _ in one.curve) == labels


def test_a_scale_maps_its_ends_to_the_ends_of_the_paper() -> None:
    scale = charts.Scale(0.5, 0.9, 260, 14)
    assert (scale(0.5), scale(0.9)) == (260, 14)
    assert charts.Scale(3, 3, 10, 20)(3) == 10
