"""Commands that keep, bring back, check and mend state. They need no Kafka."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from flows import plan as planning
from flows import start
from flows.lookup import scope_of
from flows.options import Scope, State
from schemas import durations
from state import backup as copying
from state import verify as checking
from state.directory import Directory
from state.errors import StateError
from state.place import Place

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, no progress.")]

state = typer.Typer(no_args_is_help=True, help="Check and mend a state directory.")


def register(app: typer.Typer) -> None:
    app.add_typer(state, name="state")
    app.command()(backup)
    app.command()(restore)


def backup(
    url: Annotated[str, typer.Argument(help="Where to: a folder, s3://..., any URL of fsspec.")],
    state: State,
    scope: Scope = None,
    keep: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Delete all but so many backups there.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="Again and again, such as every 5m.")] = None,
    as_json: Json = False,
) -> None:
    """Copy the state to a second place, also while workers run; only what is new there travels."""
    root = scope_of(state, scope)
    if every is None:
        _backup(root, url, keep, as_json)
        return
    try:
        pause = durations.parse(every) / 1000
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.is_set():
        try:
            _backup(root, url, keep, as_json)
        except StateError as error:  # a place that is away now may be there next time
            print(f"oncue: no backup was made: {error}", file=sys.stderr, flush=True)
        stop.wait(pause)


def restore(
    url: Annotated[str, typer.Argument(help="Where the backups are.")],
    state: State,
    scope: Scope = None,
    name: Annotated[str | None, typer.Option("--backup", help="Which; the newest when left out.")] = None,
    show: Annotated[bool, typer.Option("--list", help="Only list the backups there.")] = False,
    as_json: Json = False,
) -> None:
    """Bring state back, here or on another machine; then the same `oncue run` (or replay) goes on."""
    if show:
        _list(Place(url, copying.the_scope(url, scope)), as_json)
        return
    with _bar("restore", as_json) as progress:
        found = copying.restore(url, state, scope, name, progress)
    if as_json:
        _line({**found._asdict(), "root": str(found.root)})
    else:
        goes_on = "oncue run" if planning.read(found.root) is None else "The same oncue replay"
        print(
            f"{found.root}: backup {found.name}, made {found.made}, as of cut {found.cut} "
            f"({found.files} files, {_size(found.bytes)}). {goes_on} goes on from there"
        )


@state.command("verify")
def verify(state: State, scope: Scope = None, as_json: Json = False) -> None:
    """Read everything with its checksums; workers may be running. Exit code 1 when something is damaged."""
    found = _verify(scope_of(state, scope), as_json)
    damaged = sum(it.problem is not None for it in found)
    if not as_json:
        print(f"{damaged} of {len(found)} damaged: oncue state repair" if damaged else "everything is whole")
    raise typer.Exit(1 if damaged else 0)


@state.command("repair")
def repair(state: State, scope: Scope = None, as_json: Json = False) -> None:
    """Go back behind what is damaged; oncue must not be running. What came after is repeated."""
    root = scope_of(state, scope)
    Directory(state, root.name).lock()
    found = _verify(root, as_json)
    if all(it.problem is None for it in found):
        if not as_json:
            print("everything is whole: nothing to repair")
        return
    done = checking.repair(root, found, start.prepare_recovery)
    if as_json:
        _line({"cut": done.cut, "before": done.before, "removed": [str(path) for path in done.removed]})
    else:
        print("\n".join(f"removed {path}" for path in done.removed))
        print(
            f"goes on from cut {done.cut}; oncue run repeats the {done.before - done.cut} cuts after it "
            "that are known here from the order topic, and sends nothing twice"
        )


def _backup(root: Path, url: str, keep: int | None, as_json: bool) -> None:
    with _bar("backup", as_json) as progress:
        made = copying.backup(root, url, keep, progress)
    if as_json:
        _line(made._asdict())
    else:
        pruned = f", {made.removed} files removed" if made.removed else ""
        print(
            f"{made.name}: cut {made.cut}, {made.files} files, {_size(made.bytes)}; "
            f"{made.sent} were new, {_size(made.sent_bytes)}{pruned}",
            flush=True,
        )


def _list(place: Place, as_json: bool) -> None:
    for name in place.names():
        manifest = place.manifest(name)
        if manifest is None:
            continue
        size = sum(size for _, size in manifest.files.values())
        if as_json:
            _line({"name": name, "made": manifest.made, "cut": manifest.cut, "bytes": size})
        else:
            print(f"{name}\tmade {manifest.made}\tcut {manifest.cut}\t{_size(size)}")


def _verify(root: Path, as_json: bool) -> list[checking.Checked]:
    found = []
    with _spinner(as_json) as say:
        for it in checking.verify(root, lambda step, keys: say(f"{step}: {keys:,} keys")):
            found.append(it)
            if as_json:
                _line({**it._asdict(), "path": str(it.path)})
            elif it.problem is not None:
                print(f"DAMAGED {it.path}: {it.problem}")
            else:
                print(f"whole   {it.path}: {it.keys:,} keys, {_size(it.bytes)}")
    return found


@contextmanager
def _spinner(as_json: bool) -> Iterator[Callable[[str], None]]:
    if as_json or not sys.stderr.isatty():
        yield lambda words: None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading", spinner="dots") as status:
        yield status.update


@contextmanager
def _bar(what: str, as_json: bool) -> Iterator[Callable[[int, int], None]]:
    if as_json or not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    with Progress(
        TextColumn(what), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        console=Console(stderr=True), transient=True,
    ) as bar:  # fmt: skip
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _line(found: object) -> None:
    print(json.dumps(found), flush=True)


def _size(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
