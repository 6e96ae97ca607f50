"""Builds the bundled file: the real events and the overlay, merged in the order of arrival.

    python -m flows.demo.build 2019-Oct.csv.gz

Writes `flows/demo/shoppers.jsonl.gz`, one `{"topic": ..., "value": ...}` a line. The same CSV gives the
same bytes.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import orjson

from flows.demo import FILE
from flows.demo.overlay import overlay
from flows.demo.rees46 import events, whole_lines
from flows.demo.stage import Arrival, Event
from flows.demo.visits import seconds


def merged(real: Sequence[Event], generated: Sequence[Arrival]) -> list[Arrival]:
    """Both in the order of arrival. A real event comes before a generated one of the same second."""
    arrivals = [Arrival(seconds(event["timestamp"]), "web", event) for event in real]
    return sorted([*arrivals, *generated], key=lambda record: record.at)


def packed(records: Sequence[Arrival]) -> bytes:
    """The bundled file's bytes; `mtime=0` and no file name keep them the same from build to build."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        for record in records:
            line = {"topic": record.topic, "value": record.value}
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return buffer.getvalue()


def story(record: Arrival) -> str:
    return "not JSON" if isinstance(record.value, str) else record.value["context"]["story"]


def main() -> None:
    real = list(events(whole_lines(Path(sys.argv[1]))))
    generated = overlay(real)
    content = packed(merged(real, generated))
    target = Path(__file__).with_name(FILE)
    target.write_bytes(content)
    print(f"{len(real):,} real and {len(generated):,} generated events, {len(content):,} bytes")
    for name, count in Counter(map(story, generated)).most_common():
        print(f"{count:6,} {name}")


if __name__ == "__main__":
    main()
