"""The demo: the main job on the embedded broker, fed with real shoppers' events, watched as it works."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from flows import demo, produce, security, tail
from flows import topics as making
from flows.balance import balance
from flows.broker import Embedded
from flows.playbooks import retail
from operators import patterns, playbook, records
from operators.operations import MoveBody
from operators.parts import Patterns
from operators.playbook import Playbook
from schemas import topics

# The events are from 2019 and come faster than they happened, so idle time is not the broker's time.
ENGINE = "\nengine: {idle: hold, epoch: 1s, heartbeat: 100ms, alignment: 30s}\n"
WATCHED = (topics.TRIGGERS, topics.DECISIONS, topics.IDENTITIES, topics.DEAD_LETTERS)
PATIENCE = 60.0  # seconds from the end of the input to the end of the job

_decode_move = msgspec.msgpack.Decoder(MoveBody).decode


class Watch:
    """What came out so far."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.triggers: list[dict[str, Any]] = []
        self.cancelled: Counter[tuple[str, str]] = Counter()
        self.held_back: Counter[tuple[str, str]] = Counter()
        self.merges = self.dead_letters = 0

    def see(self, record: dict[str, Any]) -> None:
        body, kind = record["body"], record["topic"].rpartition(".")[2]
        at = record["attributes"].get("ce_time", "")[11:19]
        if kind == "triggers" and "trigger" in body:
            self.cancelled[body["rule"], body["reason"]] += 1
            self.console.print(
                f"[yellow]{at} cancelled            [/]{body['customer']}  {body['rule']}: {body['reason']}",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
        elif kind == "triggers":
            self.triggers.append(record)
            self.console.print(
                f"[bold green]{at} {body['rule']:<21}[/]"
                f"{body['customer']}  by {body['channel']}: {body['why']}",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
        elif kind == "decisions":
            self.held_back[body["rule"], body["reason"].split(" ")[0]] += 1
        elif kind == "identities":
            self.merges += 1
            linked = ", ".join(body["linked_by"])
            self.console.print(
                f"[cyan]{at} merged               [/]{body['customer']}  by {linked}", highlight=False
            )
        else:
            self.dead_letters += 1

    def latencies(self) -> dict[str, float]:
        """Milliseconds from the arrival of the deciding event to the hand-over to the broker."""
        found = sorted(int(it["attributes"]["oncue_latency_ms"]) for it in self.triggers if _timed(it))
        if not found:
            return {}
        return {"p50": found[len(found) // 2], "p99": found[len(found) * 99 // 100], "max": found[-1]}


def play(speed: float, json_file: Path | None) -> int:
    """Run it; 0 when the job ended by itself and well."""
    console = Console()
    security.forget()
    with Embedded() as broker, tempfile.TemporaryDirectory(prefix="oncue-demo-") as folder:
        config = Path(folder) / "playbook.yaml"
        config.write_text(retail() + ENGINE)
        book = playbook.load(config.read_text())
        making.create(book, broker.bootstrap)
        events = list(demo.records())
        made = sum(generated for _, _, generated in events)
        console.print(
            f"{len(events) - made:,} real events of a shop's visitors (REES46 Marketing Platform, 2019) and "
            f"{made} generated ones (logins, consents, searches, tills), {speed:g} times as fast as they "
            "happened"
        )
        job = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "run", "--config", str(config), "--brokers", broker.bootstrap,
             "--state", f"{folder}/state"]
        )  # fmt: skip
        try:
            watch = Watch(console)
            began = time.monotonic()
            feeder = threading.Thread(target=_feed, args=(book, broker.bootstrap, events, speed), daemon=True)
            feeder.start()
            code = _watch(book, broker.bootstrap, watch, job, feeder)
            took = time.monotonic() - began
            if code:
                console.print(f"[red]the job ended with exit code {code}[/]")
                return code
            with_cart = _moves_with_a_cart(book, broker.bootstrap)
            ledger = balance(book, broker.bootstrap)
        finally:
            if job.poll() is None:
                job.kill()
            job.wait()
    summary = {
        "events": {"real": len(events) - made, "generated": made},
        "seconds": round(took, 1),
        "triggers": dict(Counter(it["body"]["rule"] for it in watch.triggers)),
        "cancelled": {f"{rule}: {reason}": n for (rule, reason), n in sorted(watch.cancelled.items())},
        "held_back": {f"{rule}: {reason}": n for (rule, reason), n in sorted(watch.held_back.items())},
        "merges": {"all": watch.merges, "with_an_open_cart": with_cart},
        "dead_letters": watch.dead_letters,
        "latency_ms": watch.latencies(),
        "ledger": {"balanced": ledger.balanced, **ledger.totals},
    }
    _print(console, summary)
    if json_file is not None:
        sent = [{**it["body"], "attributes": it["attributes"]} for it in watch.triggers]
        json_file.write_text(json.dumps({**summary, "sent": sent}, indent=2) + "\n")
    return 0


def _feed(book: Playbook, brokers: str, events: list[tuple[str, bytes, bool]], speed: float) -> None:
    produce.produce(brokers, ((book.topics[source], raw) for source, raw, _ in events), speed)
    making.finish(book, brokers)


def _watch(
    book: Playbook, brokers: str, watch: Watch, job: subprocess.Popen[bytes], feeder: threading.Thread
) -> int:
    """See everything until the job has ended and nothing more comes; its exit code."""
    names = [topics.output(book.scope, code) for code in WATCHED]
    deadline: float | None = None
    for record in tail.follow(brokers, names):
        if record:
            watch.see(record)
        elif job.poll() is not None:
            return job.returncode
        elif not feeder.is_alive():
            deadline = deadline or time.monotonic() + PATIENCE
            if time.monotonic() > deadline:
                return 1
    return 1


def _moves_with_a_cart(book: Playbook, brokers: str) -> int:
    """Merges whose moved record held an open cart."""
    count = 0
    rule = book.rules["cart_abandoned"]
    for body in tail.values(brokers, topics.output(book.scope, topics.MOVES)):
        move = _decode_move(body)
        record = records.decode(move.loser, move.record)
        if record.has(f"p:{rule.name}"):
            mine: Patterns = record.part(f"p:{rule.name}")
            count += any(patterns.is_open(mine, pattern, True) for pattern in mine.keys.values())
    return count


def _timed(record: dict[str, Any]) -> bool:
    return "oncue_latency_ms" in record["attributes"]


def _print(console: Console, summary: dict[str, Any]) -> None:
    table = Table(title="What came of it", show_header=False, title_justify="left")
    for rule, count in sorted(summary["triggers"].items()):
        table.add_row(f"trigger {rule}", str(count))
    for reason, count in summary["cancelled"].items():
        table.add_row(f"cancelled {reason}", str(count))
    for reason, count in summary["held_back"].items():
        table.add_row(f"held back {reason}", str(count))
    merges = summary["merges"]
    table.add_row("merges", f"{merges['all']}, {merges['with_an_open_cart']} of them carried an open cart")
    table.add_row("dead letters", str(summary["dead_letters"]))
    if summary["latency_ms"]:
        table.add_row("event to trigger", ", ".join(f"{k} {v} ms" for k, v in summary["latency_ms"].items()))
    table.add_row("ledger", "balanced" if summary["ledger"]["balanced"] else "NOT BALANCED")
    console.print(table)
