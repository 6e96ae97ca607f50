"""`oncue export`: each row a customer as they were at a moment, knowing nothing of what came later."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from flows.past import Row
from operators.expressions import Expression
from operators.measures import HOUR, WEEKDAY
from operators.playbook import Playbook
from schemas import durations
from schemas.mendable import Mendable
from schemas.playbook import Aggregate

Write = Callable[[Sequence[Row]], None]
ABOUT = ("as_of", "customer", "customer_now")
WHOLE = ("count", "distinct", "open", "time_since", "time_since_first")  # aggregates that are whole numbers
MOST_TIMES = 10_000


class BadExport(Mendable, ValueError):
    """What was asked for cannot be exported."""


def times(text: str) -> list[int]:
    """Moments (ms) as people write them: `2026-03-01`, `2026-03-01T12:00Z`, from/to/every as
    `2026-01-01/2026-06-01/30d`, and several of these with commas. Raises BadExport.

    >>> times("1970-01-01/1970-01-03/1d,1970-01-02T00:00Z")
    [0, 86400000, 172800000]
    """
    found: set[int] = set()
    for one in text.split(","):
        parts = one.strip().split("/")
        try:
            if len(parts) == 3:
                step = durations.parse(parts[2])
                each = range(_moment(parts[0]), _moment(parts[1]) + 1, step)
                found |= set(each[: MOST_TIMES + 1])
            else:
                (moment,) = parts
                found.add(_moment(moment))
        except ValueError:
            raise BadExport(
                f"--at {one!r}: write a time such as 2026-03-01 or 2026-03-01T12:00Z, or from/to/every such "
                "as 2026-01-01/2026-06-01/30d"
            ) from None
    if len(found) > MOST_TIMES:
        raise BadExport(f"--at {text!r} is more than {MOST_TIMES:,} moments")
    return sorted(found)


def features(book: Playbook, text: str | None) -> list[str]:
    """The features named in `text` with commas, or all. Raises BadExport."""
    names = list(book.features) if text is None else [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in book.features]
    if unknown:
        raise BadExport(
            f"--features: the playbook has no {', '.join(unknown)}. Scores are none of its features; they "
            f"depend on models, which history does not hold. It has {', '.join(book.features)}"
        )
    return names


@contextmanager
def writer(out: Path, book: Playbook, names: Collection[str]) -> Iterator[Write]:
    """Writes rows to `out`, as its ending says. The file is there when all is written. Raises BadExport."""
    made = {".jsonl": _jsonl, ".csv": _csv, ".parquet": _parquet}.get(out.suffix)
    if made is None:
        raise BadExport(f"--out {out}: its name must end in .jsonl, .csv or .parquet")
    draft = out.with_name(f".{out.name}.tmp")
    try:
        with made(draft, book, names) as write:
            yield write
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def _jsonl(file: Path, book: Playbook, names: Collection[str]) -> Iterator[Write]:
    with file.open("w") as out:
        yield lambda rows: out.writelines(json.dumps(_plain(row)) + "\n" for row in rows)


@contextmanager
def _csv(file: Path, book: Playbook, names: Collection[str]) -> Iterator[Write]:
    with file.open("w", newline="") as out:
        table = csv.DictWriter(out, [*ABOUT, *names])
        table.writeheader()
        yield lambda rows: table.writerows(_plain(row) for row in rows)


@contextmanager
def _parquet(file: Path, book: Playbook, names: Collection[str]) -> Iterator[Write]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadExport("Parquet needs pyarrow: pip install 'pyarrow>=17'; or write .csv or .jsonl") from None
    numbers = [name for name in names if kind(book, name) != "text"]  # an expression may give a text
    kinds = {"whole": pyarrow.int64(), "number": pyarrow.float64(), "text": pyarrow.string()}
    schema = pyarrow.schema(
        [
            ("as_of", pyarrow.timestamp("ms", tz="UTC")),
            *((name, pyarrow.string()) for name in ABOUT[1:]),
            *((name, kinds[kind(book, name)]) for name in names),
        ]
    )
    with pyarrow.parquet.ParquetWriter(file, schema) as table:

        def write(rows: Sequence[Row]) -> None:
            found = [
                {"as_of": it.at, "customer": it.customer, "customer_now": it.now, **it.features}
                for it in rows
            ]
            mixed = [name for name in numbers if any(type(it.features[name]) is str for it in rows)]
            if mixed:
                raise BadExport(
                    f"a column of Parquet is of one type, but {', '.join(mixed)} may be a text or a number. "
                    "Leave it out with --features, or write .csv or .jsonl"
                )
            table.write_table(pyarrow.Table.from_pylist(found, schema))

        yield write


def kind(book: Playbook, name: str) -> str:
    """What the values of a feature are: whole, number or text."""
    feature = book.features[name]
    if isinstance(feature, Expression):
        return "number"
    assert feature.aggregate in get_args(Aggregate)
    if feature.aggregate in WHOLE:
        return "whole"
    if feature.aggregate in ("sum", "mean"):
        return "number"
    measure = next(it for it in book.measures.values() if it.slot == feature.slot)
    if measure.take in (HOUR, WEEKDAY):
        return "whole"
    return "number" if measure.unit in ("money", "number") else "text"


def _plain(row: Row) -> dict[str, Any]:
    at = datetime.fromtimestamp(row.at / 1000, UTC).isoformat()
    return {"as_of": at, "customer": row.customer, "customer_now": row.now, **row.features}


def _moment(text: str) -> int:
    found = datetime.fromisoformat(text)
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
