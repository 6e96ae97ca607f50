"""Changes wait for as long as they can still be written before the snapshot, and not longer."""

from hypothesis import given
from hypothesis import strategies as st

from flows.writeback import FEW, MOST, Clock, WriteBack

EPOCH = 5.0
FLOWS = st.tuples(st.integers(1, 3_000), st.integers(5, 1_000))  # events of a batch, batches of an epoch


def an_epoch(came: int, batches: int, share: float) -> tuple[list[int], list[int]]:
    """Unwritten before and written after every batch of an epoch, of whose events `share` change what was
    not changed before."""
    writing = WriteBack(Clock(EPOCH, 0.0), 0.0)
    unwritten, written, before = 0, [], []
    for number in range(1, batches + 1):
        writing.batch(came, EPOCH * number / batches)
        unwritten += int(came * share)
        before.append(unwritten)
        written.append(writing.due(unwritten))
        unwritten -= written[-1]
    return before, written


@given(FLOWS, st.floats(0, 1))
def test_a_steady_flow_leaves_little_for_the_snapshot(flow: tuple[int, int], share: float) -> None:
    before, written = an_epoch(*flow, share)
    assert before[-1] - written[-1] <= FEW + 1


@given(FLOWS, st.floats(0, 1))
def test_a_batch_never_writes_much_more_than_came_with_it(flow: tuple[int, int], share: float) -> None:
    before, written = an_epoch(*flow, share)
    for some, waited in zip(written, before, strict=True):
        assert 0 <= some <= max(3 * flow[0] + 16, waited // 32)
    assert max(before) <= MOST + flow[0]


def test_nothing_is_written_while_the_rest_of_the_epoch_suffices_for_all() -> None:
    _, written = an_epoch(came=250, batches=40, share=0.1)
    assert not any(written[:30])
    assert sum(written) >= 40 * 25 - FEW - 1


def test_after_an_epoch_that_lasts_longer_than_it_should_little_waits() -> None:
    writing = WriteBack(Clock(EPOCH, 0.0), 0.0)
    writing.batch(100, EPOCH + 1)
    assert writing.due(FEW + 90) == 90
    writing.snapshot(EPOCH + 1)
    writing.batch(100, EPOCH + 1.1)
    assert writing.due(FEW + 90) == 0


def test_steps_that_take_their_snapshots_later_have_less_of_the_epoch_left() -> None:
    clock = Clock(EPOCH, 0.0)
    clock.snapshot(5.0)  # the first step's
    clock.snapshot(5.4)  # the last one's
    assert (clock.left(5.4), clock.left(10.0)) == (4.6, 0.0)


def test_a_step_that_opens_in_the_middle_of_an_epoch_does_not_begin_another() -> None:
    clock = Clock(EPOCH, 0.0)
    WriteBack(clock, 4.0)
    assert clock.left(4.0) == 1.0
