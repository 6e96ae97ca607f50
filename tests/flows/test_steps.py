"""The stateful steps as Bytewax calls them: stores that open on the first cut, snapshots that are tokens."""

import pytest

from flows.settings import Run
from flows.start import open_run
from flows.steps import Customer, Resolve
from operators.cuts import Batch
from operators.graph import Progress
from operators.identity import Identities
from operators.operations import Pack
from operators.order import EVENT
from operators.resolve import Resolver
from state.errors import StateError
from state.store import checkpoints
from tests.brokers import Broker
from tests.events import at, track
from tests.flows.conftest import Maker

ANN = track("Product Added", 0, user="ann", cart_id="k", product_id="p")


@pytest.fixture
def run(mock: Broker, scoped: Maker) -> Run:
    scope = scoped(mock, topics=False)
    return open_run(scope.config, mock.bootstrap, scope.state)


def batch(number: int, *raws: bytes) -> Batch:
    events = [(at(0), 0, number * 10 + n, EVENT, at(1), ("user_id:ann",), raw) for n, raw in enumerate(raws)]
    return Batch(number, at(number), at(number - 1), False, 0, ["shop.web/0"], events)


def packs(run: Run, number: int, *raws: bytes) -> list[Pack]:
    """What resolve makes of a cut, one pack per shard."""
    book = run.playbook
    identities = Identities(book.scope, book.policies, {}, {}, {}, {})
    return Resolver(identities, book.engine.shards, Progress(open_moves=[], received={})).apply(
        batch(number, *raws)
    )


def shard_with_ann(run: Run) -> int:
    return next(pack.shard for pack in packs(run, 1, ANN) if pack.operations)


def test_an_unchanged_shard_gives_the_same_token_and_makes_no_checkpoint(run: Run) -> None:
    shard = shard_with_ann(run)
    step = Customer(run, None)
    step.on_batch([packs(run, 1, ANN)[shard]])
    assert step.snapshot() == (shard, 1)
    for number in (2, 3):
        step.on_batch([packs(run, number)[shard]])
        assert step.snapshot() == (shard, 1)
    folder = run.directory.step(f"shard-{shard:02d}")
    assert [cut for cut, _, _ in checkpoints(folder)] == [1]
    step.on_batch([packs(run, 4, ANN.replace(b"m-", b"n-"))[shard]])
    assert step.snapshot() == (shard, 4)
    assert [cut for cut, _, _ in checkpoints(folder)] == [1, 4]


def test_a_shard_that_was_not_woken_since_the_start_keeps_the_token_it_was_given(run: Run) -> None:
    assert Customer(run, (1, 17)).snapshot() == (1, 17)
    assert Resolve(run, 17).snapshot() == 17
    assert not run.directory.root.exists()


def test_a_shard_continues_where_its_token_says(run: Run) -> None:
    shard = shard_with_ann(run)
    first = Customer(run, None)
    first.on_batch([packs(run, 1, ANN)[shard]])
    token = first.snapshot()
    first._store.close()
    second = Customer(run, token)
    second.on_batch([packs(run, 2, ANN)[shard]])  # the same message again
    [counts] = second._customers.counts.values()
    assert (counts["accepted"], counts["duplicate"]) == (1, 1)


@pytest.mark.parametrize("next_cut", [1, 3, 9])
def test_a_gap_between_cuts_is_an_error(run: Run, next_cut: int) -> None:
    step = Resolve(run, None)
    step.on_batch([batch(1, ANN)])
    with pytest.raises(StateError, match=f"resolve got cut {next_cut} after 1"):
        step.on_batch([batch(next_cut, ANN)])
