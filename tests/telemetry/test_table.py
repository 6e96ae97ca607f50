"""The table of metrics, its page, and the helper that dashboards and alerts are checked with."""

import re
from pathlib import Path

from flows.telemetry import table
from flows.telemetry.table import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_says_what_the_table_says() -> None:
    assert PAGE.read_text() == table.page(), "run: python -m flows.telemetry.table > docs/metrics.md"


def test_names_are_unique_in_both_forms_and_follow_the_conventions() -> None:
    assert len({it.name for it in METRICS}) == len(METRICS)
    assert len({table.prometheus(it) for it in METRICS}) == len(METRICS)
    for it in METRICS:
        assert re.fullmatch(r"(messaging|process|oncue)(\.[a-z_]+)+", it.name), it.name
        assert re.fullmatch(r"s|By|1|\{[a-z_]+\}", it.unit), it.name
        assert it.kind != "histogram" or it.unit == "s", f"{it.name}: the bounds are seconds"


def test_a_query_may_use_the_parts_of_a_histogram_but_not_its_family() -> None:
    used = ["oncue_trigger_latency_seconds_bucket", "oncue_trigger_latency_seconds", "oncue_events_total"]
    assert table.unknown(used) == ["oncue_trigger_latency_seconds"]
    assert table.series()["oncue_trigger_latency_seconds_bucket"] == (
        "oncue_scope", "oncue_worker", "oncue_rule", "le",
    )  # fmt: skip
