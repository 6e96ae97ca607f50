"""Files in place of topics: what they may look like, and that they are given out as a consumer would."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import orjson
import pytest
from confluent_kafka import TopicPartition

from flows import archive
from flows.archive import Archive, BadArchive
from flows.plan import Part
from tests.events import retail, track

EVENTS = [track("Product Viewed", minute, user="ann", product_id="p1") for minute in range(3)]


def rows(part: Part, start: int = 0) -> list[tuple[int, int, bytes | None]]:
    return [(it.offset(), it.timestamp()[1], it.value()) for it in archive.records(part, start, False)]


def test_lines_of_events_are_numbered_over_all_files_of_a_partition(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_bytes(EVENTS[0] + b"\n\n" + EVENTS[1] + b"\n")
    (tmp_path / "two.jsonl.gz").write_bytes(gzip.compress(EVENTS[2] + b"\n"))
    (part,) = archive.parts(retail(), [f"web/2={tmp_path}/one.jsonl", f"web/2={tmp_path}/two.jsonl.gz"])
    assert (part.topic, part.partition, part.start, part.end) == ("shop.web", 2, 0, 3)
    assert rows(part) == [(0, 0, EVENTS[0]), (1, 0, EVENTS[1]), (2, 0, EVENTS[2])]
    assert rows(part, start=2) == [(2, 0, EVENTS[2])]


def test_lines_may_say_which_record_they_were(tmp_path: Path) -> None:
    """So that what is decided has the ids that the live run gave it."""
    lines = [
        orjson.dumps({"offset": 7, "timestamp": 1000, "value": EVENTS[0].decode()}),
        b'{"offset": 9, "timestamp": 2000, "key": "p1", "value": null}',
        b'{"offset": 10, "timestamp": 3000, "value": %s}' % EVENTS[1],
    ]
    (tmp_path / "some.jsonl").write_bytes(b"\n".join(lines))
    (part,) = archive.parts(retail(), [f"web={tmp_path}/some.jsonl"])
    assert (part.start, part.end) == (7, 11)
    assert rows(part) == [(7, 1000, EVENTS[0]), (9, 2000, None), (10, 3000, EVENTS[1])]


def test_parquet_gives_the_same(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {"value": [it.decode() for it in EVENTS], "offset": [4, 5, 8], "timestamp": [1, 2, 3]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "some.parquet")
    (part,) = archive.parts(retail(), [f"web={tmp_path}/some.parquet"])
    assert rows(part) == [(4, 1, EVENTS[0]), (5, 2, EVENTS[1]), (8, 3, EVENTS[2])]


def test_without_pyarrow_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadArchive, match=r"needs pyarrow. Install it with: pip install 'pyarrow>=17'"):
        archive.parts(retail(), [f"web={tmp_path}/some.parquet"])


@pytest.mark.parametrize(
    ("named", "content", "problem"),
    [
        (
            "shop=a.jsonl",
            b"",
            "write SOURCE=FILE or SOURCE/PARTITION=FILE, where SOURCE is one of products, ",
        ),
        ("web={}/a.csv", b"", "what kind of file"),
        (
            "web={}/a.jsonl",
            b'{"value": {}, "offset": 5}\n{"value": {}, "offset": 5}',
            "offset 5 comes after 5",
        ),
        ("web={}/a.jsonl", b'{"value": {}, "offset": 5}\n{"value"', "a.jsonl:2: "),
        ("web={}/a.jsonl.gz", b"\x1f\x8b", "is not whole"),
    ],
)
def test_what_cannot_be_replayed_is_refused_before_anything_starts(
    tmp_path: Path, named: str, content: bytes, problem: str
) -> None:
    named = named.format(tmp_path)
    if "/" in named:
        Path(named.partition("=")[2]).write_bytes(content)
    with pytest.raises(BadArchive, match=problem):
        archive.parts(retail(), [named])


def test_a_paused_file_waits_and_the_end_of_each_is_told_once(tmp_path: Path) -> None:
    for name in ("web", "app"):
        (tmp_path / f"{name}.jsonl").write_bytes(b"\n".join(EVENTS))
    found = Archive(
        retail(), archive.parts(retail(), [f"web={tmp_path}/web.jsonl", f"app={tmp_path}/app.jsonl"])
    )
    web, app = TopicPartition("shop.web", 0, 0), TopicPartition("shop.app", 0, 1)
    found.assign([web, app])
    found.pause([web])
    first = found.consume(10)
    assert [(it.topic(), it.offset()) for it in first] == [("shop.app", 1), ("shop.app", 2)]
    ended = found.consume(10)
    assert [(it.topic(), it.error() is not None, it.offset()) for it in ended] == [("shop.app", True, 3)]
    found.resume([web])
    assert [it.offset() for it in found.consume(2)] == [0, 1]
    assert [it.error() is not None for it in found.consume(10)] == [False]
    assert [it.error() is not None for it in found.consume(10)] == [True]
    assert found.consume(10) == []
