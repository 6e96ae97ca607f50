"""Finding out what came out of order, and what is to blame for it."""

from __future__ import annotations

from operators.differences import (
    AHEAD,
    IDLE,
    LATE_LIVE,
    LATE_REPLAY,
    Order,
    Row,
    Serving,
    apart,
    cause,
    scored_apart,
)  # fmt: skip

WEB, APP = "shop.web/0", "shop.app/0"


def order(*cuts: tuple[int, dict[str, int]]) -> Order:
    """Cuts of (watermark, ends)."""
    found = Order()
    for number, (watermark, ends) in enumerate(cuts, 1):
        found.add(number, watermark, ends)
    return found


def test_an_event_belongs_to_the_cut_that_let_it_in() -> None:
    mine = order((10, {WEB: 2}), (20, {APP: 1}), (30, {WEB: 5}))
    assert [mine.cut_of(WEB, offset) for offset in range(6)] == [0, 0, 2, 2, 2, None]
    assert mine.cut_of(APP, 0) == 1


def test_events_that_come_in_the_order_in_which_they_happened_explain_nothing() -> None:
    mine = order((10, {WEB: 1}), (20, {APP: 1}))
    rows = [Row(WEB, 0, 10), Row(APP, 0, 15)]
    assert mine.late(rows) == []
    assert cause(rows, mine, mine) is None


def test_an_event_is_late_when_a_later_one_of_the_same_people_was_there_before() -> None:
    mine = order((5, {WEB: 1}), (5, {APP: 1}))
    (late,) = mine.late([Row(WEB, 0, 30), Row(APP, 0, 20)])
    assert (late.place, late.cut, late.reached, late.idle) == (APP, 2, 30, False)


def test_within_one_cut_events_are_sorted_so_none_is_late() -> None:
    assert order((30, {WEB: 1, APP: 1})).late([Row(WEB, 0, 30), Row(APP, 0, 20)]) == []


def test_an_event_is_late_when_time_had_passed_it_though_nothing_else_of_them_had_come() -> None:
    mine = order((50, {WEB: 1}), (50, {APP: 1}))
    mine.saw(WEB, 0, 50)
    mine.saw(APP, 0, 20)
    rows = [Row(APP, 0, 20)]
    assert [it.idle for it in mine.late(rows)] == [True], "the app's partition had not come that far"
    found = cause(rows, mine, Order())
    assert found is not None
    assert found.what == IDLE


def test_without_idleness_time_that_has_passed_is_no_idle_advance() -> None:
    mine = order((40, {WEB: 1, APP: 1}), (45, {APP: 2}))
    for place, offset, at in ((WEB, 0, 50), (APP, 0, 40), (APP, 1, 20)):
        mine.saw(place, offset, at)
    rows = [Row(APP, 1, 20)]
    assert [it.idle for it in mine.late(rows)] == [False]
    assert cause(rows, mine, Order()) == (
        LATE_LIVE,
        f"{APP}/1 happened at 1970-01-01T00:00:00.020Z and came with cut 2, when time had reached "
        "1970-01-01T00:00:00.040Z",
    )
    found = cause(rows, Order(), mine)
    assert found is not None
    assert found.what == LATE_REPLAY


def test_a_merge_is_decided_as_of_its_event_unless_time_had_not_come_so_far() -> None:
    live, clean = order((10, {WEB: 1}), (30, {APP: 1})), order((30, {WEB: 1, APP: 1}))
    rows = [Row(WEB, 0, 20, links=True), Row(APP, 0, 30)]
    assert (live.decided(rows[0]), clean.decided(rows[0])) == (10, 20)
    found = cause(rows, live, clean)
    assert found is not None
    assert found.what == AHEAD
    alone = [Row(WEB, 0, 20), Row(APP, 0, 30)]
    assert cause(alone, live, clean, moments=[25]) is None
    due_in_between = cause(alone, live, clean, moments=[15])
    assert due_in_between is not None
    assert due_in_between.what == AHEAD


def test_a_range_ends_with_the_last_cut_that_does_not_exceed_it() -> None:
    mine = order((10, {WEB: 2}), (20, {APP: 1}), (30, {WEB: 5}))
    assert [mine.exceeds(i, {WEB: 4, APP: 1}) for i in range(3)] == [False, False, True]
    assert [mine.reaches(i, {WEB: 2}) for i in range(3)] == [False, True, True]
    shorter = mine.up_to(2)
    assert shorter.numbers == [1, 2]
    assert shorter.cut_of(WEB, 3) is None


MODELS = "shop.models/0"


def test_a_model_scores_what_is_later_than_all_that_had_been_seen_when_it_came() -> None:
    mine = order((10, {WEB: 1}), (20, {MODELS: 1}), (30, {WEB: 2}), (40, {MODELS: 3}))
    mine.saw(WEB, 0, 15)
    mine.saw(WEB, 1, 30)
    models = [(0, 100), (1, 200), (2, 150)]
    assert mine.served(MODELS, models) == [(15, 100), (30, 200)], "a version that is no newer does not count"
    assert mine.served(MODELS, [(3, 300)]) == [], "it had not come"


def test_only_who_was_scored_while_the_models_differed_was_decided_on_by_another_one() -> None:
    other = apart([Serving(100, 1)], [Serving(160, 1)])
    assert other == [(100, 160)]
    ann, every = [Row(WEB, 0, 80)], 50
    assert scored_apart(ann, every, 0, until=130, when=other), "scored again at 130"
    assert not scored_apart(ann, every, 0, until=129, when=other)
    assert scored_apart(ann, 1000, 30, until=129, when=other), "scored 30 later, because of one before"
    assert not scored_apart(ann, 100, 0, until=500, when=other), "scored at 80 and 180"
    assert scored_apart([Row(WEB, 0, 160)], every, 0, until=160, when=other)
    assert not scored_apart([Row(WEB, 0, 161)], every, 0, until=500, when=other)
    assert apart([Serving(100, 1)], [Serving(100, 1)]) == []
