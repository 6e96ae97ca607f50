"""Commands about topics: make and list them, send to them, read them, end their input."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from flows import produce as producing
from flows import tail as tailing
from flows import topics as making
from flows.options import Brokers, Config, Json, load
from flows.progress import Progress
from schemas import topics as naming

topics = typer.Typer(no_args_is_help=True, help="The topics of a scope.")


def register(app: typer.Typer) -> None:
    app.add_typer(topics, name="topics")
    app.command()(produce)
    app.command()(tail)
    app.command()(finish)


@topics.command("create")
def create(
    brokers: Brokers,
    config: Annotated[Path | None, typer.Option("--config", help="The playbook (YAML).")] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of each source's topic.")] = 4,
    replication: Annotated[int, typer.Option(help="Copies of each; -1: the broker's default.")] = -1,
    as_json: Json = False,
) -> None:
    """Make the scope's topics that are missing, with the settings they need."""
    book = load(config)
    made, differing = making.create(book, brokers, partitions, replication), making.differing(book, brokers)
    if as_json:
        print(json.dumps({"made": made, "differing": differing}, indent=2))
        return
    for line in differing:
        print(f"oncue: {line} (kafka-configs.sh --alter changes it)", file=sys.stderr)
    print("\n".join(made) if made else "all topics are there")


@topics.command("list")
def list_topics(
    config: Annotated[Path | None, typer.Option("--config", help="The playbook (YAML).")] = None,
    as_json: Json = False,
) -> None:
    """Every topic of a scope, what it is keyed by and what oncue does with it."""
    book = load(config)
    rows = [(topic, "in", "sender's choice", f"source {source}") for source, topic in book.topics.items()]
    rows += [
        (book.reference[it.name], "in", it.keyed_by, "reference data")
        for it in naming.REFERENCE
        if it.name in book.reference
    ]
    rows += [(naming.output(book.scope, code), "out", it.keyed_by, "") for code, it in book.outputs.items()]
    if book.foretold:
        rows += [
            (naming.learning(book.scope, it.name), "learning", it.keyed_by, "") for it in naming.LEARNING
        ]
    rows.append((naming.order(book.scope), "internal", "-", ""))
    columns = ("topic", "use", "keyed_by", "about")
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2))
    else:
        from flows import show  # it imports Rich, which takes .1 s

        show.rows(columns, rows)


def produce(
    file: Annotated[Path, typer.Argument(help="One record a line; empty lines are left out.")],
    brokers: Brokers,
    topic: Annotated[str, typer.Option(help="Where to.")],
    speed: Annotated[float, typer.Option(help="Times faster than the timestamps; 0: at once.")] = 0,
    as_json: Json = False,
) -> None:
    """Send a file of JSON lines to a topic."""
    producing.check(brokers, topic)
    with file.open("rb") as lines, Progress(f"bytes to {topic}", file.stat().st_size) as progress:
        count = producing.produce(brokers, ((topic, line) for line in _lines(lines, progress)), speed)
    print(json.dumps({"topic": topic, "records": count}) if as_json else f"{count} records to {topic}")


def _lines(file: BinaryIO, progress: Progress) -> Iterator[bytes]:
    for line in file:
        progress.advance(len(line))
        if line.strip():
            yield line.strip()


def tail(
    topic: Annotated[str, typer.Argument(help="Its whole name, such as shop.triggers.")],
    brokers: Brokers,
    new: Annotated[bool, typer.Option("--new", help="Only what comes from now on.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the topic.")] = False,
) -> None:
    """Print a topic's committed records, one JSON object a line."""
    for record in tailing.follow(brokers, [topic], begin=not new, until_end=once):
        if record:
            print(json.dumps(record), flush=True)


def finish(config: Config, brokers: Brokers, as_json: Json = False) -> None:
    """Say that the input ends here: the run works off what is there, then ends by itself."""
    ends = making.finish(load(config), brokers)
    print(json.dumps(ends, indent=2) if as_json else f"input ends after {sum(ends.values())} records")
