"""A dataflow that says what Bytewax asks of it, in a process that can die; see test_engine_notes.py.

python -m tests.flows.engine_flow RECOVERY LOG DIE: numbers from 0 to 19, an epoch each, through a
stateful step and twenty others into a FixedPartitionedSink. Appends lines to LOG; DIE is `never` or such a
line, before which the process ends as if killed.
"""

import os
import sys
from collections.abc import Callable
from datetime import timedelta

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.testing import run_main

Say = Callable[[str], None]
LAST = 20


class Source(FixedPartitionedSource[tuple[str, int], int]):
    def __init__(self, say: Say) -> None:
        self.say = say

    def list_parts(self) -> list[str]:
        return ["one"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "Numbers":
        self.say(f"source resumes at {resume_state or 0}")
        return Numbers(self.say, resume_state or 0)


class Numbers(StatefulSourcePartition[tuple[str, int], int]):
    def __init__(self, say: Say, number: int) -> None:
        self.say, self.number = say, number

    def next_batch(self) -> list[tuple[str, int]]:
        if self.number == LAST:
            raise StopIteration
        self.number += 1
        return [("key", self.number - 1)]

    def snapshot(self) -> int:
        self.say(f"source snapshot {self.number}")
        return self.number


class Sum(StatefulBatchLogic[int, int, int]):
    def __init__(self, say: Say, total: int) -> None:
        self.say, self.total = say, total

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        self.total += sum(values)
        return values, False

    def on_eof(self) -> tuple[list[int], bool]:
        self.say("step end of input")
        return [], False

    def snapshot(self) -> int:
        self.say(f"step snapshot {self.total}")
        return self.total


class Sink(FixedPartitionedSink[int, int]):
    def __init__(self, say: Say) -> None:
        self.say = say

    def list_parts(self) -> list[str]:
        return ["0"]

    def part_fn(self, item_key: str) -> int:
        return 0

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "Written":
        self.say(f"sink resumes at {resume_state}")
        return Written(self.say)


class Written(StatefulSinkPartition[int, int]):
    def __init__(self, say: Say) -> None:
        self.say, self.newest = say, -1

    def write_batch(self, items: list[int]) -> None:
        for item in items:
            self.say(f"sink write {item}")
            self.newest = item

    def snapshot(self) -> int:
        self.say(f"sink snapshot {self.newest}")
        return self.newest


def main(recovery: str, log: str, die: str) -> None:
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(line: str) -> None:
        if line == die:
            os._exit(9)
        os.write(out, f"{line}\n".encode())

    flow = Dataflow("engine")
    stream = op.input("in", flow, Source(say))
    stream = op.stateful_batch("sum", stream, lambda total: Sum(say, total or 0))
    for number in range(20):
        stream = op.map(f"step-{number}", stream, lambda item: item)
    op.output("out", stream, Sink(say))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(recovery))


if __name__ == "__main__":
    main(*sys.argv[1:])
