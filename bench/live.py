"""Live load on a running scope: a paced producer in a process of its own, and a watch on its triggers.

`python -m bench.live BOOTSTRAP SCOPE RATE PEOPLE SECONDS` is the producer. Its people look at
twelve products over and over, so that many complete a repeated interest; everybody has consented.
Partition 3 of the third source stays quiet.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from typing import Any

from confluent_kafka import TopicPartition

from bench import traffic
from bench.scope import SOURCES, Scope
from flows import kafka
from schemas import topics

QUIET = (2, 3)  # source, partition


class Load:
    """The producer, for as long as the `with` block lasts."""

    def __init__(self, scope: Scope, rate: int, people: int, seconds: float) -> None:
        about = (scope.bootstrap, scope.book.scope, str(rate), str(people), str(seconds))
        self._command = [sys.executable, "-m", "bench.live", *about]

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(self._command)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Watch:
    """Reads the triggers as a downstream system would, read_committed, and notes when each came."""

    def __init__(self, scope: Scope) -> None:
        self.seen: list[tuple[float, float]] = []  # (wall clock when it came, ms since its event)
        self._stop = False
        name = topics.output(scope.book.scope, topics.TRIGGERS)
        self._client = kafka.consumer(scope.bootstrap, "oncue-bench")
        places = [(name, p) for p in range(scope.book.engine.partitions)]
        self._client.assign([TopicPartition(*p, kafka.bounds(self._client, p)[1]) for p in places])
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()
        self._client.close()

    def _read(self) -> None:
        from flows.tail import show

        while not self._stop:
            for record in kafka.take(self._client, 500, 0.01):
                if record.error() is None:
                    now = time.time()
                    body: dict[str, Any] = show(record)["body"]
                    if body["rule"] == "repeated_interest":
                        self.seen.append((now, now * 1000 - body["decided_at"]))

    def latencies(self, since: float) -> dict[str, float]:
        """Milliseconds from the event's own time (when it was handed to the producer) to its trigger."""
        found = sorted(ms for at, ms in self.seen if at >= since)
        if not found:
            return {"triggers": 0}
        pick = {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
        return {
            "triggers": len(found),
            **{name: round(found[min(len(found) - 1, int(len(found) * q))], 1) for name, q in pick.items()},
            "max_ms": round(found[-1], 1),
        }

    def first_after(self, moment: float, timeout: float) -> float | None:
        """Seconds from `moment` to the first trigger for an event that happened after it."""
        until = time.time() + timeout
        while time.time() < until:
            for at, ms in reversed(self.seen):
                if at - ms / 1000 > moment:
                    first = min(a for a, m in self.seen if a - m / 1000 > moment)
                    return first - moment
            time.sleep(0.02)
        return None


def consents(people: int) -> list[tuple[int, bytes, bytes]]:
    """Everybody agrees to push messages, and has an app."""
    now = int(time.time() * 1000) - 60_000
    return [
        (
            person % 3,
            b"cookie-%d-0" % person,
            b'{"type":"track","event":"Consent Updated","messageId":"c-%d","timestamp":"%s",'
            b'"anonymousId":"cookie-%d-0",'
            b'"properties":{"purpose":"marketing","channel":"push","granted":true},'
            b'"context":{"device":{"token":"token-%d"}}}' % (person, traffic.stamp(now), person, person),
        )
        for person in range(people)
    ]


def feed(bootstrap: str, scope: str, rate: int, people: int, seconds: float) -> None:
    """Produce `rate` events a second, paced by the clock."""
    producer = kafka.producer(bootstrap, **{"linger.ms": 2, "compression.type": "lz4"})
    dice = random.Random(5)
    names = [f"{scope}.{source}" for source in SOURCES]
    began = time.time()
    number = 0
    tag = int(began)
    while (elapsed := time.time() - began) < seconds:
        while number < rate * elapsed:
            person = dice.randrange(people)
            source, partition = person % 3, person // 3 % 4
            if (source, partition) == QUIET:
                partition = 0
            now = int(time.time() * 1000)
            value = (
                b'{"messageId":"l-%d-%d","timestamp":"%s","anonymousId":"cookie-%d-0","type":"track",'
                b'"event":"Product Viewed","properties":{"product_id":"sku-%d","category":"shoes",'
                b'"brand":"acme","price":19.90,"currency":"USD"},"context":{"page":{"url":"https://shop.example/products/view"}}}'
                % (tag, number, traffic.stamp(now), person, dice.randrange(12))
            )
            producer.produce(names[source], value, b"%d" % person, partition=partition)
            number += 1
        producer.poll(0)
        time.sleep(0.001)
    producer.flush(10)


if __name__ == "__main__":
    feed(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
