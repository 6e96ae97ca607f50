"""`oncue dead-letters`: the command line of `flows/deadletters.py`."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from flows import deadletters
from flows.options import Brokers, Config, Json, load
from schemas import durations

letters = typer.Typer(no_args_is_help=True, help="What could not be used: see it, send it again.")


def register(app: typer.Typer) -> None:
    app.add_typer(letters, name="dead-letters")


Reason = Annotated[str, typer.Option(help="Only of this reason.")]
Stage = Annotated[str, typer.Option(help="Only of this stage.")]
Topic = Annotated[str, typer.Option(help="Only from this topic.")]
Since = Annotated[str, typer.Option(help="Only newer: 2h (ago), or a time such as 2026-03-02T10:00:00Z.")]
Places = Annotated[
    list[str] | None, typer.Option("--place", help="Only this one: topic/partition/offset. Repeatable.")
]


@letters.command("list")
def list_letters(
    config: Config,
    brokers: Brokers,
    reason: Reason = "",
    stage: Stage = "",
    topic: Topic = "",
    since: Since = "",
    place: Places = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="How many to show, the newest first.")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="Show those that were sent again, too.")] = False,
    as_json: Json = False,
) -> None:
    """Dead letters by reason, and the newest of them with place, detail and original."""
    which = deadletters.Which(reason, stage, topic, tuple(place or ()), _since(since))
    groups, newest = deadletters.find(load(config), brokers, which, limit, all_)
    if as_json:
        print(json.dumps({"groups": msgspec.to_builtins(groups), "letters": newest}, indent=2))
    else:
        from flows import show  # it imports Rich, which takes .1 s

        show.letters(groups, newest)


@letters.command("replay")
def replay_letters(
    config: Config,
    brokers: Brokers,
    reason: Reason = "",
    stage: Stage = "",
    topic: Topic = "",
    since: Since = "",
    place: Places = None,
    transform: Annotated[
        Path | None, typer.Option(help="A Python file with transform(original, letter) -> bytes | None.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Send dead letters to their topics again, as they were or transformed; each of them once."""
    book = load(config)
    which = deadletters.Which(reason, stage, topic, tuple(place or ()), _since(since))
    mend = deadletters.load_transform(transform) if transform else None
    groups = [it for it in deadletters.find(book, brokers, which, 0)[0] if it.topic and it.open]
    count = sum(group.open for group in groups)
    result = {"to_send": count, "sent": 0, "left_out": 0}
    if not as_json:
        from flows import show

        show.letters(groups, [])
    if count and not dry_run:
        if not yes:
            typer.confirm(f"Send {count} dead letters to their topics again?", abort=True, err=True)
        result["sent"], result["left_out"] = deadletters.replay(book, brokers, which, mend)
    if as_json:
        print(json.dumps(result, indent=2))
    elif dry_run or not count:
        print(f"{count} would be sent again")
    else:
        print(f"{result['sent']} sent again, {result['left_out']} left out")


def _since(text: str) -> int:
    """Milliseconds of a moment: a duration ago, or an ISO time, which is UTC unless it says otherwise."""
    if not text:
        return 0
    with suppress(ValueError):
        return round(time.time() * 1000) - durations.parse(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--since {text!r}: write 2h, or 2026-03-02T10:00:00Z") from None
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
