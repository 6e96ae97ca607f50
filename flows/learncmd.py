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
from flows.options import Brokers, Config, State, load
from flows.telemetry import log
from flows.telemetry.options import LogFormat, ReadyWithin, StuckAfter, TelemetryHost, TelemetryPort
from flows.telemetry.settings import BadTelemetry, settings
from operators.hints import near
from operators.playbook import Playbook
from operators.subjects import FORMS
from schemas.churn import Command, Model
from state.errors import StateError

About = Annotated[
    str | None, typer.Option("--subject", help="What is foretold: churn or intent, if there are both.")
]


def register(app: typer.Typer) -> None:
    """River brings scipy, which takes seconds to import: only `learn` does."""
    models = typer.Typer(no_args_is_help=True, help="Models that foretell churn and intent.")
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
        subject: Annotated[
            str | None, typer.Option("--subject", help="Learn only this: churn or intent; all if left out.")
        ] = None,
        telemetry_port: TelemetryPort = None,
        telemetry_host: TelemetryHost = "127.0.0.1",
        ready_within: ReadyWithin = 30.0,
        stuck_after: StuckAfter = 60.0,
        log_format: LogFormat = "text",
    ) -> None:
        """Learn from examples and publish models, until SIGTERM. The same command continues."""
        from flows import learning
        from operators.churn.published import Incompatible

        telemetry = settings(telemetry_port, telemetry_host, ready_within, stuck_after, log_format)
        book = load(config)
        log.use(log_format, **{"oncue.scope": book.scope})
        run = learning.prepare(book, brokers, state, _meant(book, subject), once, anew, telemetry)
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
    def list_models(config: Config, brokers: Brokers, subject: About = None) -> None:
        """The models that are kept of each subject, the one that serves last."""
        from flows.models import kept

        book = load(config)
        for name in _meant(book, subject):
            for model in kept(book.scope, name, brokers):
                figures = model.figures
                columns = (
                    name, str(model.version), model.contestant,
                    f"{model.labels} labels until {_day(model.trained_until)}",
                    f"AUC {_number(figures.auc)}", f"calibration error {_number(figures.ece)}", model.why,
                )  # fmt: skip
                print("\t".join(columns))

    @models.command()
    def show(
        config: Config,
        brokers: Brokers,
        version: Annotated[int | None, typer.Argument(help="Which; the one that serves if left out.")] = None,
        subject: About = None,
    ) -> None:
        """One model in full, as JSON."""
        from flows.models import chosen

        book = load(config)
        model = chosen(book.scope, _one(book, subject), brokers, version)
        print(msgspec.json.format(msgspec.json.encode(model), indent=2).decode())

    @models.command()
    def report(
        config: Config,
        brokers: Brokers,
        out: Annotated[Path, typer.Option("--out", help="Where to write the page.")],
        subject: About = None,
    ) -> None:
        """Write how well a subject is foretold as a page: one HTML file, no network needed."""
        from flows.models import reports
        from operators.churn.report import page

        book = load(config)
        name = _one(book, subject)
        found = reports(book.scope, name, brokers)
        words = book.foretold[name].definition.words
        out.write_text(page(book.scope, name, found, words), encoding="utf-8")
        print(f"{out}: {len(found)} reports, {found[-1].labels} labels")

    @models.command()
    def promote(config: Config, brokers: Brokers, contestant: str, subject: About = None) -> None:
        """Make a contestant the champion."""
        from flows.models import send

        book = load(config)
        name = _one(book, subject)
        there = (*book.foretold[name].contestants, "rule")
        if contestant not in there:
            raise KafkaTrouble(f"{contestant!r} takes no part in {name}; these do: {', '.join(there)}")
        send(book.scope, name, brokers, Command("promote", contestant=contestant))

    @models.command()
    def rollback(config: Config, brokers: Brokers, version: int, subject: About = None) -> None:
        """Serve a model again as it was, and no other until you promote."""
        from flows.models import chosen, send

        book = load(config)
        name = _one(book, subject)
        model: Model = chosen(book.scope, name, brokers, version)
        send(book.scope, name, brokers, Command("rollback", version=model.version))


def _meant(book: Playbook, subject: str | None) -> list[str]:
    """The subjects that are meant: that one, or all that the playbook foretells. Raises KafkaTrouble."""
    there = list(book.foretold)
    if not there:
        raise KafkaTrouble(f"the playbook has none of the sections {', '.join(FORMS)}: it foretells nothing")
    if subject is not None and subject not in there:
        raise KafkaTrouble(
            f"the playbook has no section {subject!r}, it foretells {' and '.join(there)}"
            f"{near(subject, there)}"
        )
    return there if subject is None else [subject]


def _one(book: Playbook, subject: str | None) -> str:
    """The one subject that is meant."""
    found = _meant(book, subject)
    if len(found) > 1:
        raise KafkaTrouble(f"the playbook foretells {' and '.join(found)}: say which with --subject")
    return found[0]


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3f}"
