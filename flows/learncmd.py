"""`oncue learn` and `oncue models`."""

from __future__ import annotations

import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flows.ending import explain
from flows.kafka import KafkaTrouble
from flows.telemetry import log
from flows.telemetry.options import LogFormat, ReadyWithin, StuckAfter, TelemetryHost, TelemetryPort
from flows.telemetry.settings import BadTelemetry, settings
from operators import playbook
from schemas.churn import Command, Model
from state.errors import StateError

Brokers = Annotated[str, typer.Option("--brokers", help="Kafka bootstrap address, HOST:PORT.")]
Config = Annotated[Path, typer.Option("--config", help="The playbook (YAML).")]
State = Annotated[Path, typer.Option("--state", help="State directory.")]


def register(app: typer.Typer) -> None:
    """River brings scipy, which takes seconds to import: only `learn` does."""
    models = typer.Typer(no_args_is_help=True, help="Models that foretell churn.")
    app.add_typer(models, name="models")

    @app.command()
    def learn(
        config: Config,
        brokers: Brokers,
        state: State,
        once: Annotated[bool, typer.Option("--once", help="End where the examples end now.")] = False,
        anew: Annotated[
            bool, typer.Option("--anew", help="Forget what was learnt; learn from all examples again.")
        ] = False,
        telemetry_port: TelemetryPort = None,
        telemetry_host: TelemetryHost = "127.0.0.1",
        ready_within: ReadyWithin = 30.0,
        stuck_after: StuckAfter = 60.0,
        log_format: LogFormat = "text",
    ) -> None:
        """Learn from churn examples and publish models, until SIGTERM. The same command continues."""
        from flows import learning
        from operators.churn.published import Incompatible

        telemetry = settings(telemetry_port, telemetry_host, ready_within, stuck_after, log_format)
        book = playbook.load(config.read_text(), str(config))
        log.use(log_format, **{"oncue.scope": book.scope})
        run = learning.prepare(book, brokers, state, once, anew, telemetry)
        signal.signal(signal.SIGTERM, lambda *_: run.stop.set())
        signal.signal(signal.SIGINT, lambda *_: run.stop.set())
        try:
            learning.work(run)
        except BaseException as error:
            cause: BaseException | None = error
            while cause is not None:
                if isinstance(cause, Incompatible):
                    raise StateError(str(cause)) from None
                if isinstance(cause, BadTelemetry):
                    raise cause from None
                cause = cause.__cause__ or cause.__context__
            raise typer.Exit(explain(error)) from None

    @models.command("list")
    def list_models(config: Config, brokers: Brokers) -> None:
        """The models that are kept, the one that serves last."""
        from flows.models import kept

        for model in kept(_scope(config), brokers):
            figures = model.figures
            columns = (
                str(model.version), model.contestant,
                f"{model.labels} labels until {_day(model.trained_until)}",
                f"AUC {_number(figures.auc)}", f"calibration error {_number(figures.ece)}", model.why,
            )  # fmt: skip
            print("\t".join(columns))

    @models.command()
    def show(
        config: Config,
        brokers: Brokers,
        version: Annotated[int | None, typer.Argument(help="Which; the one that serves if left out.")] = None,
    ) -> None:
        """One model in full, as JSON."""
        from flows.models import chosen

        model = chosen(_scope(config), brokers, version)
        print(msgspec.json.format(msgspec.json.encode(model), indent=2).decode())

    @models.command()
    def report(
        config: Config,
        brokers: Brokers,
        out: Annotated[Path, typer.Option("--out", help="Where to write the page.")],
    ) -> None:
        """Write how well churn is foretold as a page: one HTML file, no network needed."""
        from flows.models import reports
        from operators.churn.report import page

        scope = _scope(config)
        found = reports(scope, brokers)
        out.write_text(page(scope, "churn", found), encoding="utf-8")
        print(f"{out}: {len(found)} reports, {found[-1].labels} labels")

    @models.command()
    def promote(config: Config, brokers: Brokers, contestant: str) -> None:
        """Make a contestant the champion."""
        from flows.models import send

        book = playbook.load(config.read_text(), str(config))
        there = (*(book.churn.contestants if book.churn else ()), "rule")
        if contestant not in there:
            raise KafkaTrouble(f"{contestant!r} takes no part; these do: {', '.join(there)}")
        send(book.scope, brokers, Command("promote", contestant=contestant))

    @models.command()
    def rollback(config: Config, brokers: Brokers, version: int) -> None:
        """Serve a model again as it was, and no other until you promote."""
        from flows.models import chosen, send

        model: Model = chosen(_scope(config), brokers, version)
        send(_scope(config), brokers, Command("rollback", version=model.version))


def _scope(config: Path) -> str:
    return playbook.load(config.read_text(), str(config)).scope


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}"
