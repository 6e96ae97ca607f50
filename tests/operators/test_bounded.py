"""Cuts of an input that ends: the same whatever the delivery, in the order of event time."""

from __future__ import annotations

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from operators import bounded
from operators.cuts import Batch
from operators.order import EVENT, INTERNAL_TIME, MOVE, REFERENCE, Front

PLACES = ["prices/0", "web/0", "app/0", "moves/0"]


def front(*lengths: int, leading: int = 0) -> Front:
    """Partitions of so many records each, and one of moves."""
    found = Front(len(lengths), 1, 0, leading)
    found.finish_at(list(lengths))
    return found


def arrive(of: Front, index: int, offset: int, at: int) -> None:
    kind = MOVE if index >= of.inputs else REFERENCE if index < of.leading else EVENT
    of.add((at, index, offset, kind, at, ("user_id:u",), b""))


def work_off(of: Front, share: int) -> list[Batch]:
    """Cuts until none can be made."""
    found = []
    while (cut := bounded.propose(of, 7, share)) is not None:
        found.append(of.release(cut, 7, PLACES))
    return found


def test_no_event_is_released_before_one_that_happened_earlier_elsewhere() -> None:
    mine = front(3, 2)
    for offset, at in enumerate([10, 30, 50]):
        arrive(mine, 0, offset, at)
    for offset, at in enumerate([20, 40]):
        arrive(mine, 1, offset, at)
    times = [event[0] for batch in work_off(mine, share=1) for event in batch.events]
    assert times == [10, 20, 30, 40, 50]


def test_it_waits_for_a_partition_that_has_not_shown_what_comes_next() -> None:
    mine = front(3, 2)
    arrive(mine, 0, 0, 10)
    arrive(mine, 0, 1, 20)
    assert bounded.propose(mine, 7, share=1) is None
    arrive(mine, 1, 0, 15)
    assert bounded.propose(mine, 7, share=1) is None
    arrive(mine, 1, 1, 25)
    assert bounded.propose(mine, 7, share=1) is not None


def test_a_quiet_partition_holds_time_back_no_further_than_its_next_event() -> None:
    mine = front(5, 2)
    for offset, at in enumerate([10, 20, 30, 40, 50]):
        arrive(mine, 0, offset, at)
    for offset, at in enumerate([10, 1000]):
        arrive(mine, 1, offset, at)
    first, second = work_off(mine, share=2)[:2]
    assert (len(first.events), first.watermark) == (3, 29)  # 10, 10, 20: before 30 nothing more comes
    assert (len(second.events), second.watermark) == (2, 49)  # though the quiet one is silent until 1000


def test_the_last_cut_says_so_and_time_reaches_the_newest_event_and_not_more() -> None:
    mine = front(1, 1)
    arrive(mine, 0, 0, 10)
    arrive(mine, 1, 0, 90)
    batches = work_off(mine, share=5)
    assert [batch.last for batch in batches] == [True]
    assert batches[-1].watermark == 90


def test_after_the_end_only_what_comes_back_is_let_in() -> None:
    mine = front(1)
    arrive(mine, 0, 0, 10)
    assert work_off(mine, share=5)[-1].last
    assert bounded.propose(mine, 7, share=5) is None
    arrive(mine, 1, 0, INTERNAL_TIME)
    batch = work_off(mine, share=5)[0]
    assert [event[3] for event in batch.events] == [MOVE]
    assert not batch.last


def test_gaps_that_transactions_leave_at_the_end_do_not_keep_it_from_ending() -> None:
    mine = front(5)
    arrive(mine, 0, 0, 10)
    assert bounded.propose(mine, 7, share=5) is None
    mine.read_up_to(0, 5)
    assert work_off(mine, share=5)[-1].last


def test_a_price_of_the_moment_is_there_before_an_order_of_that_moment() -> None:
    mine = front(3, 2, leading=1)
    for offset, at in enumerate([10, 20, 20]):
        arrive(mine, 0, offset, at)
    for offset, at in enumerate([20, 21]):
        arrive(mine, 1, offset, at)
    released = [(event[0], event[1]) for batch in work_off(mine, share=2) for event in batch.events]
    assert released == [(10, 0), (20, 0), (20, 0), (20, 1), (21, 1)]


times = st.lists(st.lists(st.integers(0, 60), max_size=12), min_size=1, max_size=3)


@given(times=times, share=st.integers(1, 5), seeds=st.tuples(st.integers(), st.integers()))
def test_the_cuts_do_not_depend_on_how_the_records_were_delivered(
    times: list[list[int]], share: int, seeds: tuple[int, int]
) -> None:
    def cuts(seed: int) -> list[tuple[int, list[tuple[int, int, int]]]]:
        dice = random.Random(seed)
        mine = front(*map(len, times))
        left = [list(enumerate(one)) for one in times]
        found = work_off(mine, share)
        while any(left):
            index = dice.choice([i for i, one in enumerate(left) if one])
            arrive(mine, index, *left[index].pop(0))
            if dice.random() < 0.5:
                found += work_off(mine, share)
        found += work_off(mine, share)
        return [(it.watermark, [event[:3] for event in it.events]) for it in found]

    assert cuts(seeds[0]) == cuts(seeds[1])


@given(times=times, share=st.integers(1, 5))
def test_everything_comes_once_and_sorted_partitions_come_out_sorted(
    times: list[list[int]], share: int
) -> None:
    mine = front(*map(len, times))
    for index, one in enumerate(times):
        for offset, at in enumerate(sorted(one)):
            arrive(mine, index, offset, at)
    batches = work_off(mine, share)
    released = [event[:3] for batch in batches for event in batch.events]
    assert [at for at, _, _ in released] == sorted(at for one in times for at in one)
    assert len(set(released)) == sum(map(len, times))
    for batch, following in pairwise(batches):
        assert all(event[0] > batch.watermark for event in following.events)
        assert following.watermark >= batch.watermark
