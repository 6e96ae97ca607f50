"""What a person on call sees of a run: every metric of the table, traces, log lines, health."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.telemetry import table
from flows.telemetry.watchdog import STUCK
from tests.brokers import EmbeddedBroker, RealBroker
from tests.events import consent, event, track
from tests.flows.collector import Collector, Port
from tests.flows.conftest import Maker
from tests.flows.running import Scope
from tests.flows.test_learning import learning, tell
from tests.program import Program, until

__all__ = ["learning"]  # a fixture

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
INBOUND = f"00-{TRACE}-00f067aa0ba902b7-01"
SLOW = 120.0  # seconds, for what takes its time even on a quiet machine
UNSAMPLED = "00-11111111111111111111111111111111-00f067aa0ba902b7-00"
BEFORE = (
    track("Product Viewed", -1, id="a0", user="ann", product_id="p0"),
    track("Product Added", 0, id="a1", anonymous="cookie-1", cart_id="k1", product_id="p1", price=10),
    event("identify", 1, id="a2", user="ann", anonymous="cookie-1", traits={"email": "ann@shop.example"}),
    consent(2, id="a3", user="ann"),
    track("Product Added", 3, id="b1", user="bob", cart_id="k2", product_id="p1"),  # no consent: a decision
    track("Product Added", 3, id="b1", user="bob", cart_id="k2", product_id="p1"),  # a repeat
    track("Product Added", 4, id="b1", user="bob", cart_id="k2", product_id="p7"),  # another under its id
    event("identify", 4, id="x1", user="eve", anonymous="cookie-1"),  # a second account: refused
)
LATER = track("Product Viewed", 60, id="z1", user="zoe", product_id="p9")  # brings the time
ORDERED = track("Order Completed", 61, id="a9", user="ann", cart_id="k1", order_id="o1", total=12.34)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as it:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", it.endpoint)
        monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "500")
        yield it


def emitted(where: str) -> set[str]:
    return {table.prometheus(it) for it in table.METRICS if where in it.where}


def families(port: Port) -> set[str]:
    """As the table has them: a histogram by its family's name."""
    histograms = {table.prometheus(it) for it in table.METRICS if it.kind == "histogram"}
    bare = {it.name: it.name.rpartition("_")[0] for it in port.samples()}
    return {bare[name] if bare[name] in histograms else name for name in bare}


def test_a_run_emits_every_metric_of_the_table_and_nothing_else(
    scoped: Maker, mock: EmbeddedBroker, collector: Collector, tmp_path: Path
) -> None:
    """And its traces follow an event to the trigger that it caused, and log lines name the trace."""
    scope = scoped(mock)
    scope.send(*BEFORE)
    scope.send(
        track("Product Added", 5, id="a4", user="ann", cart_id="k1", product_id="p2"), traceparent=INBOUND
    )
    scope.send(b'{"type": "track"', traceparent=INBOUND)
    scope.send(LATER, traceparent=UNSAMPLED)
    run = scope.run("--telemetry-port", 0, "--log-format", "json", "--backup", tmp_path / "copies")
    port = Port(run)
    trigger = scope.await_records("triggers", 1, run)[0]
    scope.send(ORDERED)
    scope.await_records("triggers", 2, run)
    until(lambda: not emitted("run") - families(port), "every metric")
    assert not families(port) - emitted("run"), "what is not in the table is not emitted"
    until(lambda: port.ask("/readyz")[0] == 200, "ready")
    assert port.ask("/livez") == (200, "alive\n")
    for outcome, count in {"accepted": 10, "duplicate": 1, "dead_lettered": 1}.items():
        assert port.value("oncue_events_total", oncue_outcome=outcome, oncue_source="web") == count, outcome
    assert port.value("oncue_triggers_total", oncue_rule="cart_abandoned") == 1
    assert port.value("oncue_triggers_cancelled_total", oncue_reason="ended") == 1
    assert port.value("oncue_decisions_total", oncue_reason="consent-unknown") == 1
    assert port.value("oncue_identity_changes_total", oncue_change="merged") == 1
    assert port.value("oncue_identity_changes_total", oncue_change="blocked") == 1
    assert port.value("oncue_dead_letters_total", oncue_stage="header", oncue_reason="not-json") == 1
    assert port.value("oncue_ledger_imbalance") == 0
    assert port.value("oncue_consumer_lag") == 0
    assert run.stop() == 0, run.said

    assert {it.name for it in table.METRICS if "run" in it.where} == set(collector.metrics)
    followed = {span.name: span for span in collector.spans if span.trace_id.hex() == TRACE}
    names = [f"receive {scope.topic('web')}", "resolve", "customer", f"send {scope.topic('triggers')}"]
    assert set(names) | {f"send {scope.topic('dead-letters')}"} == set(followed), "no other trace, no others"
    chain = [span for span in collector.spans if span.trace_id.hex() == TRACE]
    sent = next(span for span in chain if span.name == names[-1])
    assert trigger.headers["traceparent"] == f"00-{TRACE}-{sent.span_id.hex()}-01"
    above = {span.span_id: span for span in chain}
    path = [sent]
    while path[0].parent_span_id in above:
        path.insert(0, above[path[0].parent_span_id])
    assert [span.name for span in path] == names
    assert path[0].parent_span_id.hex() == INBOUND.split("-")[2]
    assert not [span for span in collector.spans if span.trace_id.hex() != TRACE], "unsampled is not followed"

    lines = [json.loads(line) for line in run.said.splitlines()]
    assert {line["oncue.scope"] for line in lines} == {scope.name}
    letter = next(line for line in lines if "dead-lettered" in line["body"])
    assert (letter["severity"], letter["trace_id"], letter["oncue.reason"]) == ("WARN", TRACE, "not-json")


def test_the_learner_emits_the_rest_of_the_table(learning: Scope) -> None:
    tell(learning, 0, 590)
    program = learning.oncue(
        "learn", "--config", learning.config, "--brokers", learning.broker.bootstrap,
        "--state", learning.state, "--telemetry-port", 0,
    )  # fmt: skip
    port = Port(program)
    until(lambda: not emitted("learn") - families(port), "every metric")
    assert port.value("oncue_model_champion", oncue_subject="churn", oncue_model="recursive") == 1
    assert 0 < port.value("oncue_model_auc_ratio", oncue_subject="churn", oncue_model="recursive") <= 1
    until(lambda: port.ask("/readyz")[0] == 200, "ready")
    assert program.stop() == 0, program.said


def test_a_worker_that_hangs_says_where_and_ends(scoped: Maker, mock: EmbeddedBroker) -> None:
    """Its state is on a file system that does not answer: writing to a pipe that nobody reads waits."""
    scope = scoped(mock)
    points = scope.state / scope.name / "points"
    points.mkdir(parents=True)
    run = scope.run("--telemetry-port", 0, "--stuck-after", 3)
    port = Port(run)
    until(lambda: port.ask("/readyz")[0] == 200, "ready while all is well")
    until(lambda: (points / "sequence").exists(), "a first position")
    os.mkfifo(points / "sequence.tmp")
    scope.send(LATER)
    assert run.wait() == STUCK
    assert "no progress for 3 s in sequence snapshot" in run.said
    assert "write_bytes" in run.said, "the stack tells which call"
    (points / "sequence.tmp").unlink()
    scope.complete()
    assert len(scope.records("dead-letters")) == 0


def test_a_paused_member_is_killed_and_all_start_again(scoped: Maker, mock: EmbeddedBroker) -> None:
    scope = scoped(mock)
    run = scope.run("--workers", 2, "--telemetry-port", 0, "--stuck-after", 3)
    port = Port(run)
    until(lambda: port.ask("/readyz")[0] == 200, "both ready")
    workers = {it.labels.get("oncue_worker") for it in port.samples() if it.name == "process_uptime_seconds"}
    assert workers == {"0", "1"}
    os.kill(run.members()[1], signal.SIGSTOP)
    until(lambda: port.value("oncue_worker_restarts_total") >= 1, "a restart", SLOW)
    assert port.value("oncue_worker_restarts_total", oncue_reason="SIGKILL") == 1, run.said
    assert "worker 1 does not answer" in run.said
    until(lambda: port.ask("/readyz")[0] == 200, "both ready again", SLOW)
    assert not emitted("supervisor") - families(port)
    assert run.stop() == 0, run.said


def test_wrong_settings_are_told_all_at_once(scoped: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = scoped(EmbeddedBroker(), topics=False)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "zipkin")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "soon")
    run: Program = scope.run("--log-format", "xml", "--telemetry-port", 99999)
    assert run.wait() == 2
    for wrong in ("zipkin", "soon", "xml", "99999"):
        assert wrong in run.said


def test_a_broker_that_is_away_is_a_reason_not_to_be_ready_but_not_to_end(
    scoped: Maker, own: RealBroker
) -> None:
    scope = scoped(own, idle="follow")
    scope.send(b"no event")
    run = scope.run("--telemetry-port", 0, "--stuck-after", 4, "--ready-within", 2)
    port = Port(run)
    scope.await_records("dead-letters", 1, run)
    until(lambda: port.ask("/readyz")[0] == 200, "ready")
    own.pause()

    def away() -> int:
        """Seconds that the broker has been away for, as the process sees it."""
        found = re.search(r"broker.* for (\d+) s", port.ask("/readyz")[1])
        return int(found[1]) if found else 0

    until(lambda: away() > 5 or not run.running, "longer than a dataflow may be stuck", SLOW)
    assert port.ask("/livez")[0] == 200
    own.resume()
    until(lambda: port.ask("/readyz")[0] == 200, "ready again", SLOW)
    assert run.stop() == 0, run.said
    assert "no progress" not in run.said
