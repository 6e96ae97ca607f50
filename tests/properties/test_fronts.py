"""The laws of the front: time goes forward only, nobody runs ahead, and silence is no proof."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operators.order import EVENT, Front
from tests.properties.logs import law

ALIGNMENT = 10
PLACES = ["a/0", "b/0", "c/0"]
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(0, 2), st.integers(0, 60)),
        st.tuples(st.just("idle"), st.integers(0, 2), st.just(0)),
        st.tuples(st.just("cut"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


class Run:
    """A front driven by deeds; what was cut, and from which partitions anything was ever heard."""

    def __init__(self) -> None:
        self.front = Front(3, 0, ALIGNMENT)
        self.heard = [False] * 3
        self.batches: list[Any] = []
        self.coming = [0] * 3

    def do(self, deed: str, index: int, at: int) -> None:
        front = self.front
        if deed == "arrive":
            front.add((at, index, self.coming[index], EVENT, at, ("user_id:u",), b""))
            self.coming[index] += 1
            self.heard[index] = True
        elif deed == "idle":
            if not front.waiting[index] and front.latest() >= 0:
                self.heard[index] = True
            front.proven_idle(index, front.latest())
        else:
            fronts = [max(front.newest[i], front.idle_until[i]) for i in range(3)]
            cut = front.propose(0)
            if cut is not None:
                batch = front.release(cut, 0, PLACES)
                if front.ends_at is None:
                    assert all(one[0] <= min(fronts) + ALIGNMENT for one in batch.events)
                self.batches.append(batch)


@law
@given(deeds)
def test_nothing_is_released_further_ahead_than_the_alignment_and_time_goes_forward(deeds: Any) -> None:
    run = Run()
    for deed in [*deeds, ("cut", 0, 0)]:
        run.do(*deed)
        if not all(run.heard):
            assert run.front.watermark == -1
    marks = [batch.watermark for batch in run.batches]
    assert marks == sorted(marks)
    assert [batch.before for batch in run.batches] == [-1, *marks][: len(marks)]
    assert [batch.number for batch in run.batches] == list(range(1, len(marks) + 1))


@law
@given(deeds)
def test_every_event_is_released_once_and_in_the_order_of_its_partition(deeds: Any) -> None:
    run = Run()
    for deed in deeds:
        run.do(*deed)
    run.front.finish_at(list(run.coming))
    for _ in range(100):
        run.do("cut", 0, 0)
    for index in range(3):
        cut = [
            one[2]
            for batch in run.batches
            for one in sorted(batch.events, key=lambda e: e[2])
            if one[1] == index
        ]
        assert cut == list(range(run.coming[index]))
    assert [batch.last for batch in run.batches].count(True) == 1
    assert all(batch.events == sorted(batch.events, key=lambda one: one[:3]) for batch in run.batches)


@law
@given(deeds, st.integers(0, 40))
def test_cuts_that_are_repeated_release_what_they_released(deeds: Any, crash: int) -> None:
    first = Run()
    kept: list[Any] = []
    cuts: list[Any] = []
    resume: tuple[Any, ...] | None = None
    for number, deed in enumerate(deeds):
        if number == crash:
            resume = (
                list(first.front.offsets),
                list(first.front.highest),
                first.front.number,
                first.front.watermark,
            )
        if deed[0] == "cut":
            cut = first.front.propose(0)
            if cut is not None:
                batch = first.front.release(cut, 0, PLACES)
                if resume is not None:
                    cuts.append(cut)
                    kept.append(batch)
        else:
            first.do(*deed)
    again = Front(3, 0, ALIGNMENT)
    if resume is None:
        return
    again.resume(*resume)
    arrived = [0, 0, 0]
    for deed, index, at in deeds:
        if deed == "arrive":
            if arrived[index] >= again.offsets[index]:
                again.add((at, index, arrived[index], EVENT, at, ("user_id:u",), b""))
            arrived[index] += 1
    assert all(again.has(cut) for cut in cuts)
    assert [again.release(cut, 0, PLACES) for cut in cuts] == kept
    assert again.watermark == first.front.watermark
