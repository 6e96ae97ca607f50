"""Cuts, the watermark and alignment."""

from __future__ import annotations

from operators.cuts import Cut, Opened, decode, encode
from operators.order import EVENT, INTERNAL_TIME, MOVE, Front

PLACES = ["web/0", "app/0", "moves/0"]


def front(alignment: int = 1000) -> Front:
    return Front(inputs=2, internals=1, alignment=alignment)


def arrive(of: Front, index: int, offset: int, at: int) -> None:
    kind = EVENT if index < of.inputs else MOVE
    of.add((at, index, offset, kind, at, ("user_id:u",), b""))


def take(of: Front) -> tuple[list[tuple[int, int, int]], int]:
    """What the next cut releases, as (time, partition, offset), and its watermark."""
    cut = of.propose(7)
    assert cut is not None
    batch = of.release(cut, 7, PLACES)
    return [event[:3] for event in batch.events], batch.watermark


def test_events_come_out_in_the_order_of_their_times() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    arrive(mine, 0, 1, 10)
    arrive(mine, 1, 0, 20)
    events, watermark = take(mine)
    assert events == [(10, 0, 1), (20, 1, 0), (30, 0, 0)]
    assert watermark == 20


def test_the_watermark_does_not_move_until_every_partition_was_heard_of() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    assert take(mine) == ([(30, 0, 0)], -1)
    arrive(mine, 1, 0, 10)
    assert take(mine) == ([(10, 1, 0)], 10)


def test_a_partition_proven_idle_does_not_hold_the_others_back() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    mine.proven_idle(1, mine.latest())
    assert take(mine)[1] == 30


def test_proof_of_idleness_is_worth_nothing_once_something_has_arrived() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    arrive(mine, 1, 0, 10)
    mine.proven_idle(1, 30)
    assert take(mine)[1] == 10


def test_more_internal_records_than_a_cut_should_hold_come_with_the_next_one() -> None:
    mine = front()
    for offset in range(5):
        arrive(mine, 2, offset, INTERNAL_TIME)
    cut = mine.propose(7, most=3)
    assert cut is not None
    assert cut.events == 5


def test_time_does_not_go_back_for_a_late_event() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    arrive(mine, 1, 0, 30)
    assert take(mine)[1] == 30
    arrive(mine, 1, 1, 10)
    assert take(mine) == ([(10, 1, 1)], 30)


def test_without_news_there_is_no_cut() -> None:
    assert front().propose(7) is None


def test_a_partition_that_is_far_ahead_waits_for_the_others() -> None:
    mine = front(alignment=100)
    for offset, at in enumerate([50, 100, 111, 60]):
        arrive(mine, 0, offset, at)
    arrive(mine, 1, 0, 10)
    events, _ = take(mine)
    assert events == [(10, 1, 0), (50, 0, 0), (100, 0, 1)]
    arrive(mine, 1, 1, 20)
    events, _ = take(mine)
    assert events == [(20, 1, 1), (60, 0, 3), (111, 0, 2)]


def test_moves_sort_first_and_say_nothing_about_time() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    arrive(mine, 1, 0, 30)
    arrive(mine, 2, 0, INTERNAL_TIME)
    assert take(mine) == ([(INTERNAL_TIME, 2, 0), (30, 0, 0), (30, 1, 0)], 30)


def test_the_last_cut_says_so_once_and_brings_no_new_time() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    arrive(mine, 1, 0, 20)
    mine.finish_at([1, 1])
    cut = mine.propose(7)
    assert cut is not None
    assert cut.last
    assert mine.release(cut, 7, PLACES).watermark == 30
    assert mine.propose(7) is None


def test_who_lags_is_asked_about() -> None:
    mine = front()
    arrive(mine, 0, 0, 30)
    assert mine.laggards(0) == [1]
    mine.proven_idle(1, 30)
    take(mine)
    assert mine.laggards(0) == []


def test_a_cut_can_be_repeated_only_when_all_it_names_has_arrived_again() -> None:
    mine = front()
    mine.resume([5, 9, 0], [100, 90], 3, 90)
    cut = Cut(7, 4, 110, {0: 7}, 2)
    arrive(mine, 0, 5, 110)
    assert not mine.has(cut)
    arrive(mine, 0, 6, 120)
    assert mine.has(cut)
    batch = mine.release(cut, 7, PLACES)
    assert (batch.number, batch.before, batch.watermark, len(batch.events)) == (4, 90, 110, 2)


def test_what_is_written_to_the_order_is_read_again() -> None:
    cut = Cut(7, 4, 110, {0: 7, 2: 1}, 3, True)
    assert decode(encode(cut)) == cut
    assert type(decode(encode(Opened("hash", [])))) is Opened


# --- reference data leads


def led(alignment: int = 1000) -> Front:
    """Partition 0 holds reference data, partition 1 events."""
    return Front(inputs=2, internals=1, alignment=alignment, leading=1)


def test_at_the_same_time_reference_data_comes_first() -> None:
    mine = led()
    arrive(mine, 1, 0, 30)
    arrive(mine, 0, 0, 30)
    mine.read_up_to(0, 1)
    assert take(mine)[0] == [(30, 0, 0), (30, 1, 0)]


def test_an_event_waits_for_reference_data_of_before_its_time_that_is_still_to_be_delivered() -> None:
    mine = led()
    for offset, at in enumerate([10, 20, 40]):
        arrive(mine, 1, offset, at)
    arrive(mine, 0, 0, 20)  # more of the same moment may follow
    assert take(mine)[0] == [(10, 1, 0), (20, 0, 0)]
    arrive(mine, 0, 1, 30)
    assert take(mine)[0] == [(20, 1, 1), (30, 0, 1)]
    mine.read_up_to(0, 2)
    assert take(mine)[0] == [(40, 1, 2)]


def test_reference_data_does_not_wait_for_events_within_the_alignment() -> None:
    mine = led(alignment=100)
    for offset, at in enumerate([10, 110, 111]):
        arrive(mine, 0, offset, at)
    arrive(mine, 1, 0, 10)
    assert take(mine)[0] == [(10, 0, 0), (10, 1, 0), (110, 0, 1)]


def test_proof_of_idleness_counts_as_the_end_of_the_reference_data() -> None:
    mine = led()
    arrive(mine, 1, 0, 30)
    assert mine.propose(7) is None
    mine.proven_idle(0, 30)
    arrive(mine, 1, 1, 40)
    assert take(mine)[0] == [(30, 1, 0), (40, 1, 1)]
