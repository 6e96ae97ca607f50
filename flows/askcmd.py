"""Commands that answer: is this playbook right, who is this customer, is everything accounted for."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import balance, checking, lookup, pastcmd, timeline
from flows.ending import TROUBLE
from flows.options import Brokers, Config, Json, Scope, State, load
from flows.past import Remembered


def register(app: typer.Typer) -> None:
    app.command()(check)
    app.command()(customer)
    app.command()(ledger)


def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")], as_json: Json = False) -> None:
    """List every mistake of playbooks, each with its line, its path and the nearest valid name."""
    found = [checking.check(file) for file in files]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        from flows import show  # it imports Rich, which takes .1 s

        for one in found:
            show.playbook(one)
    raise typer.Exit(TROUBLE if any(one["mistakes"] for one in found) else 0)


def customer(
    key: Annotated[str, typer.Argument(help="Any identifier, such as an e-mail, or a customer id.")],
    state: State,
    scope: Scope = None,
    brokers: Annotated[
        str | None, typer.Option(help="Kafka, HOST:PORT: the timeline then has triggers and decisions.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="As it was then, such as 2026-03-01T12:00Z; needs history.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[SUBJECT=]VERSION",
            help="With --at: score by this model, not by those of their time. Repeatable: one per subject.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Who this is and what is known, from the newest checkpoint; workers may be running."""
    root = lookup.scope_of(state, scope)
    if at is None:
        if model:
            raise typer.BadParameter("--model needs --at")
        found = lookup.customer(root, key)
    else:
        with Remembered(root) as past:
            past.check(when := pastcmd.moment(at))
            found = past.customer(key, when, model or ())
    if found is None:
        looked = ", ".join(lookup.names_of(key, lookup.playbook_of(root)))
        print(
            f"oncue: nobody {'has' if at is None else 'had'} the identifier {key!r} "
            f"{'in the newest checkpoint' if at is None else f'as of {at}'}; looked for {looked}",
            file=sys.stderr,
        )
        raise typer.Exit(1)
    found["timeline"] = timeline.timeline(found, lookup.playbook_of(root), brokers if at is None else None)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        from flows import show

        show.customer(found)


def ledger(config: Config, brokers: Brokers, as_json: Json = False) -> None:
    """Check that the newest ledger balances: what came in was accepted, repeated or dead-lettered."""
    result = balance.balance(load(config), brokers)
    if as_json:
        print(json.dumps(result._asdict(), indent=2))
    else:
        from flows import show

        show.ledger(result)
    raise typer.Exit(1 if result.balanced is False else 0)
