"""Copies that a run makes of its own state: when, and what happens when their place is away."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.copies import BadCopying, Copies, Copying, copying
from flows.telemetry.figures import Figures
from state import points
from state.backup import restore
from state.place import Place
from state.store import Store
from tests.program import until

STEPS = ("resolve", "shard-00")
HOUR = 3600.0


class Machine:
    """A scope's folder that epochs come into, and what copies it."""

    def __init__(self, folder: Path, every: float) -> None:
        self.root, self.url = folder / "state" / "shop", str(folder / "place")
        self.root.mkdir(parents=True)
        (self.root / "oncue.json").write_text('{"shards": 1}')
        self.stores = [Store(self.root / step, 1, None) for step in STEPS]
        self.figures = Figures()
        self.copies = Copies(self.root, Copying(self.url, every, keep=2), self.figures)

    def epoch(self, cut: int) -> None:
        for store in self.stores:
            store.write([(b"cut", b"%d" % cut), (b"k%d" % cut, os.urandom(100))])
            store.checkpoint(cut, 0)
        points.Points(self.root / "points", points.SEQUENCE).keep(cut, b"position")
        self.copies.durable()

    def cuts(self) -> list[int]:
        return [int(name.rpartition("-")[2]) for name in Place(self.url, "shop").names()]

    def figure(self, name: str) -> float:
        """0 for one that was not counted yet: a copy is there a moment before it is counted."""
        values = {metric.name: values for metric, values in self.figures.read()}.get(f"oncue.backup.{name}")
        value = 0 if values is None else values[()]
        assert isinstance(value, float | int)
        return value


@pytest.fixture
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    found = Machine(tmp_path, request.param)
    yield found
    found.copies.close()
    for store in found.stores:
        store.close()


@pytest.mark.parametrize("machine", [HOUR], indirect=True)
def test_the_first_durable_epoch_is_copied_and_the_next_when_it_is_time(
    machine: Machine, tmp_path: Path
) -> None:
    machine.epoch(3)
    until(lambda: machine.cuts() == [3], "a copy")
    machine.epoch(5)
    assert machine.cuts() == [3]
    assert restore(machine.url, tmp_path / "other").cut == 3
    until(lambda: machine.figure("sent") > 0, "counted")
    assert 0 <= machine.figure("age") < HOUR


@pytest.mark.parametrize("machine", [0.0], indirect=True)
def test_a_place_that_is_away_is_said_once_counted_and_tried_again(
    machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(machine.url).write_text("a file where a folder should be")
    for failures in (1, 2):
        machine.epoch(failures)
        until(lambda: machine.figure("failures") == failures, "a failure")  # noqa: B023
    Path(machine.url).unlink()
    machine.epoch(3)
    until(lambda: machine.cuts() == [3], "a copy")
    machine.copies.close()
    said = capsys.readouterr().err
    assert said.count("no backup was made: cannot write to") == 1
    assert machine.url in said
    assert "backups are made again, as of cut 3" in said


@pytest.mark.parametrize("machine", [0.0], indirect=True)
def test_only_so_many_are_kept_and_none_is_made_after_the_end(machine: Machine) -> None:
    for cut in (1, 2, 3):
        machine.epoch(cut)
        until(lambda: machine.cuts()[-1:] == [cut], "a copy")  # noqa: B023
    until(lambda: machine.cuts() == [2, 3], "the first is gone")
    machine.copies.close()
    machine.epoch(4)
    assert machine.cuts() == [2, 3]


def test_mistakes_are_told_at_the_start_all_at_once() -> None:
    assert copying(None) is None
    assert copying("somewhere", "90s") == Copying("somewhere", 90)
    with pytest.raises(BadCopying) as wrong:
        copying("nowhere://bucket", "often")
    assert "nowhere" in str(wrong.value)
    assert "'often' is not a duration" in str(wrong.value)
    with pytest.raises(BadCopying, match="--backup-keep is for --backup URL"):
        copying(None, keep=3)
