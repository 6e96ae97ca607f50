"""Dashboards and alert rules: every name in a query is one that a run emits, each alert is in the runbook."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest

from flows.telemetry import table
from tests.deploy.files import DEPLOY, ROOT, load

FOREIGN = {  # of Prometheus itself, the kubelet and cAdvisor
    "up", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes",
    "container_memory_working_set_bytes", "container_spec_memory_limit_bytes",
}  # fmt: skip
VARIABLES = {"$__rate_interval": "5m", "$scope": "shop"}
RULES = DEPLOY / "prometheus" / "alerts.yaml"
WHEN = Path(__file__).with_name("alerts.test.yaml")
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def alerts() -> list[dict[str, Any]]:
    return [rule for group in load(RULES)["groups"] for rule in group["rules"]]


def selectors(node: Any) -> Iterator[tuple[str, set[str]]]:
    """Name and labels of every series that a parsed query reads."""
    if isinstance(node, promql.VectorSelector):
        yield node.name, {it.name for it in node.matchers.matchers}
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (child := getattr(node, name, None)) is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or ():
        yield from selectors(child)


def check(query: str) -> None:
    """It is PromQL, and reads only series and labels that are there."""
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    found = list(selectors(promql.parse(query)))
    assert found, f"reads nothing: {query}"
    assert table.unknown(name for name, _ in found if name not in FOREIGN) == []
    known = table.series()
    for name, labels in found:
        if name in known:
            assert labels <= {*known[name], "job", "instance"}, f"{name} has no such label: {query}"


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_alert_reads_what_is_there_and_says_what_to_do(rule: dict[str, Any]) -> None:
    check(rule["expr"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    page, _, section = rule["annotations"]["runbook"].partition("#")
    assert section == rule["alert"].lower()
    assert f"\n### {rule['alert']}\n" in (ROOT / page).read_text()


def test_the_runbook_has_no_section_about_an_alert_that_is_none() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    named = {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### Oncue")}
    assert named == {rule["alert"] for rule in alerts()}


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_each_panel_reads_what_is_there(file: Path) -> None:
    board = json.loads(file.read_text())
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert panels
    for panel in panels:
        for target in panel["targets"]:
            check(target["expr"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            metric = variable["definition"].removeprefix("label_values(").split(",")[0]
            assert table.unknown([metric]) == []
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_each_metric_is_on_a_dashboard_or_in_an_alert_or_left_out_on_purpose() -> None:
    text = RULES.read_text() + "".join(file.read_text() for file in DASHBOARDS)
    left_out = {
        "messaging_client_consumed_messages_total",  # the lag says more
        "messaging_client_sent_messages_total",
        "oncue_events_conflicting_total",  # also decisions with the rule `dedupe`
        "oncue_cuts_total",
        "oncue_cache_entries",
        "oncue_records_repeated_total",
    }
    names = {table.prometheus(metric) for metric in table.METRICS}
    assert {name for name in names if name not in text} == left_out


@pytest.mark.parametrize("words", [("check", "rules", RULES), ("test", "rules", WHEN)], ids=["form", "when"])
def test_prometheus_itself_takes_the_rules_and_fires_them_when_it_should(words: tuple[Any, ...]) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("no promtool on PATH (Debian: the package prometheus)")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_that_pages_was_seen_to_fire() -> None:
    seen = {
        it["alertname"]
        for case in load(WHEN)["tests"]
        for it in case["alert_rule_test"]
        if "exp_alerts" in it
    }
    assert {rule["alert"] for rule in alerts() if rule["labels"]["severity"] == "page"} <= seen
