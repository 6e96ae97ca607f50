"""The command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import broker as embedded
from flows import checking, lookup, show, statecmd, tail, worker
from flows import produce as producing
from flows import topics as making
from flows.kafka import KafkaTrouble
from flows.playbooks import retail
from flows.supervise import supervise
from operators import playbook
from operators.playbook import BadPlaybook, Playbook
from schemas import topics as names
from state.errors import StateError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Real-time customer data engine.")
topics = typer.Typer(no_args_is_help=True, help="The topics of a scope.")
app.add_typer(topics, name="topics")
statecmd.register(app)

Brokers = Annotated[str, typer.Option("--brokers", help="Kafka bootstrap address, HOST:PORT.")]
Config = Annotated[Path, typer.Option("--config", help="The playbook (YAML).")]
Json = Annotated[bool, typer.Option("--json", help="Plain JSON.")]
State = Annotated[Path, typer.Option("--state", help="State directory.")]


@app.command()
def run(
    config: Config,
    brokers: Brokers,
    state: State,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine.")] = 1,
    on_gap: Annotated[str, typer.Option(help="Trimmed input: stop, earliest or latest.")] = "stop",
) -> None:
    """Run a scope until its input ends or SIGTERM comes. The same command continues after any stop."""
    if on_gap not in ("stop", "earliest", "latest"):
        raise typer.BadParameter("--on-gap is stop, earliest or latest")
    it = worker.open_run(config, brokers, state, on_gap)
    worker.prepare(it)
    raise typer.Exit(worker.work(it) if workers == 1 else supervise(it, str(config), workers))


@app.command()
def demo(
    speed: Annotated[float, typer.Option(help="How many times faster than it happened.")] = 400,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write counts and triggers here.")] = None,
) -> None:
    """Watch real shoppers' behaviour turn into triggers, on an embedded broker."""
    from flows.demo import play

    raise typer.Exit(play.play(speed, json_file))


@app.command()
def broker() -> None:
    """Host the embedded broker, for trying out: it keeps nothing. Prints its address; Ctrl-C ends it."""
    embedded.serve()


@app.command()
def check(files: Annotated[list[Path], typer.Argument(metavar="FILE...")], as_json: Json = False) -> None:
    """List every mistake of playbooks, each with its line, its path and the nearest valid name."""
    found = [checking.check(file) for file in files]
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        for one in found:
            show.playbook(one)
    raise typer.Exit(worker.TROUBLE if any(one["mistakes"] for one in found) else 0)


@app.command()
def produce(
    file: Path,
    brokers: Brokers,
    topic: Annotated[str, typer.Option(help="Where to.")],
    speed: Annotated[float, typer.Option(help="Times faster than the timestamps; 0: at once.")] = 0,
) -> None:
    """Send a file of JSON lines to a topic."""
    producing.check(brokers, topic)
    with file.open("rb") as lines:
        count = producing.produce(brokers, ((topic, line.strip()) for line in lines if line.strip()), speed)
    print(f"{count} records to {topic}")


@app.command("tail")
def tail_command(
    topic: str,
    brokers: Brokers,
    new: Annotated[bool, typer.Option("--new", help="Only what comes from now on.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the topic.")] = False,
) -> None:
    """Print a topic's committed records, one JSON object a line."""
    for record in tail.follow(brokers, [topic], begin=not new, until_end=once):
        if record:
            print(json.dumps(record), flush=True)


@app.command()
def finish(config: Config, brokers: Brokers) -> None:
    """Say that the input ends here: the run works off what is there, then ends by itself."""
    ends = making.finish(_load(config), brokers)
    print(f"input ends after {sum(ends.values())} records")


@app.command()
def customer(
    key: Annotated[str, typer.Argument(help="Any identifier, such as an e-mail, or a customer id.")],
    state: State,
    scope: Annotated[str | None, typer.Option(help="Which scope, where there are several.")] = None,
    as_json: Json = False,
) -> None:
    """Who this is and what is known, from the newest checkpoint; workers may be running."""
    found = lookup.customer(lookup.scope_of(state, scope), key)
    if found is None:
        print(f"oncue: nobody has the identifier {key!r} in the newest checkpoint", file=sys.stderr)
        raise typer.Exit(1)
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        show.customer(found)


@app.command()
def ledger(config: Config, brokers: Brokers) -> None:
    """Check that the newest ledger balances: what came in was accepted, repeated or dead-lettered."""
    from flows.balance import balance

    result = balance(_load(config), brokers)
    print(json.dumps(result.totals, indent=2))
    print(f"cut {result.cut}: " + ("balanced" if result.balanced else "NOT BALANCED"))
    raise typer.Exit(0 if result.balanced else 1)


@topics.command("create")
def create(
    brokers: Brokers,
    config: Annotated[Path | None, typer.Option("--config", help="The playbook (YAML).")] = None,
    partitions: Annotated[int, typer.Option(help="Partitions of the inbound topics.")] = 4,
    replication: Annotated[int, typer.Option(help="Copies of each; -1: the broker's default.")] = -1,
) -> None:
    """Make the scope's topics that are missing, with the settings they need."""
    made = making.create(_load(config), brokers, partitions, replication)
    print("\n".join(made) if made else "all topics are there")


@topics.command("list")
def list_topics(config: Annotated[Path | None, typer.Option("--config")] = None) -> None:
    """Every topic of a scope, what it is keyed by and what oncue does with it."""
    book = _load(config)
    for source, topic in book.topics.items():
        print(f"{topic}\tin\tcustomer\tsource {source}")
    for code, output in enumerate(names.OUTPUTS):
        print(f"{names.output(book.scope, code)}\tout\t{output.keyed_by}")
    print(f"{names.order(book.scope)}\tinternal\t-")


def _load(file: Path | None) -> Playbook:
    return (
        playbook.load(retail(), "retail.yaml") if file is None else playbook.load(file.read_text(), str(file))
    )


def main() -> None:
    """Entry point: errors that a person can mend are one message and exit code 2, not a traceback."""
    try:
        app()
    except (BadPlaybook, KafkaTrouble, StateError) as error:
        print(f"oncue: {error}", file=sys.stderr)
        sys.exit(worker.TROUBLE)
    except OSError as error:
        print(f"oncue: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        sys.exit(worker.TROUBLE)


if __name__ == "__main__":
    main()
