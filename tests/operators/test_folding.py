"""Events that are too old to be kept are folded: what they said goes on counting."""

from __future__ import annotations

import pytest

from operators import folding, history
from operators import playbook as playbooks
from operators.facts import feature_values
from operators.folding import Folding, Sweep
from operators.operations import EVENT, Pack
from operators.rebuild import Counter
from tests.events import MINUTE, at, track
from tests.leaves import Bytes

BOOK = playbooks.load("""
scope: shop
sources: {web: {}}
identifiers: {user_id: {}}
history: {keep: 1h}
measures:
  views: {on: [Product Viewed], value: properties.product_id}
features:
  views: {measure: views, aggregate: count}
  views_2h: {measure: views, aggregate: count, window: 2h}
""")
ANN = "user_id:ann"


class Shard:
    """A shard of history with one leaf."""

    def __init__(self) -> None:
        self.table, self.cuts, self.before = Bytes(), 0, -1
        self.folding = Folding(BOOK, Sweep(), {})

    def cut(self, until: float, *minutes: float) -> None:
        """Ann looked at something at each of `minutes`; then time has come to `until`."""
        self.cuts += 1
        operations = [
            (EVENT, "c", at(one), "shop.web/0", 100 * self.cuts + n, at(one), ANN, view(one))
            for n, one in enumerate(minutes)
        ]
        pack = Pack(0, self.cuts, at(until), self.before, 0, 0, False, operations)
        self.before = at(until)
        self.table.write(history.appended(pack))
        self.folding.step(self.table, self.table.write, at(until), len(operations))

    @property
    def left(self) -> list[int]:
        """The minutes of the events that are still there."""
        return [(it.at - at(0)) // MINUTE for it in history.events(self.table, ANN)]

    def features(self, now: float) -> list[int]:
        summary = folding.summary(self.table, ANN)
        start = folding.beginning("c", [summary] if summary else [], BOOK.kept)
        record = Counter(BOOK, {}).record("c", history.recorded(history.events(self.table, ANN)), start)
        return list(feature_values(BOOK, record, BOOK.features, at(now)).values())


def view(minute: float) -> bytes:
    return track("Product Viewed", minute, user="ann", product_id=f"p{minute}")


def test_what_is_older_than_is_kept_counts_on() -> None:
    shard = Shard()
    shard.cut(50, 0, 10, 50)
    shard.cut(80)
    assert shard.left == [50]
    assert shard.features(80) == [3, 3]
    shard.cut(200)
    assert shard.left == []
    assert shard.features(200) == [3, 0]


def test_a_repetition_of_what_is_folded_is_one() -> None:
    shard = Shard()
    shard.cut(50, 10)
    shard.cut(100)
    shard.cut(110, 10)
    assert shard.left == [10]
    assert shard.features(110) == [1, 1]
    shard.cut(200)
    assert shard.left == []
    assert shard.features(200) == [1, 0]


def test_what_came_too_late_for_the_moment_is_folded_the_next_time() -> None:
    """As of minute 30 nobody knew of what happened in minute 20, which came when it was minute 60."""
    shard = Shard()
    shard.cut(60, 10)
    shard.cut(90, 20)
    assert shard.folding.progress.until == at(30)
    assert shard.left == [20]
    shard.cut(125)
    assert shard.left == []
    assert shard.features(125) == [2, 2]


def test_a_cut_folds_only_so_much_and_the_next_one_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "PER_CUT", 2)
    shard = Shard()
    shard.cut(8, 1, 2, 2, 3, 4, 5)
    shard.cut(100)
    assert shard.left == [3, 4, 5], "what happened at one moment stays together"
    shard.cut(101)
    assert shard.left == [5]
    again = Folding(BOOK, shard.folding.progress, {})  # a new process
    again.step(shard.table, shard.table.write, at(101), 0)
    assert shard.left == []
    assert again.progress.until == at(40)
    assert shard.features(101) == [5, 5], "the same view twice is one"
