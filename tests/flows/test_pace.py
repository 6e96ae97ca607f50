"""How many events may enter in one epoch follows how long its end took."""

from flows.pace import FIRST, LEAST, Pace


def epochs(pace: Pace, *ends: tuple[int, float]) -> list[int]:
    """The cap after each epoch of so many events whose end took so many seconds."""
    caps, now = [], 0.0
    for count, drain in ends:
        pace.count = count
        pace.closed(now)
        now += drain
        pace.opened(now)
        caps.append(pace.cap)
    return caps


def test_it_is_full_at_the_cap() -> None:
    pace = Pace(5.0)
    pace.count = FIRST - 1
    assert not pace.full
    pace.count = FIRST
    assert pace.full


def test_an_end_longer_than_the_epoch_halves_what_may_enter() -> None:
    assert epochs(Pace(5.0), (100_000, 6.0), (50_000, 6.0)) == [50_000, 25_000]


def test_but_some_may_enter_always() -> None:
    assert epochs(Pace(5.0), *[(100_000, 60.0)] * 9)[-1] == LEAST


def test_what_limits_is_raised_and_what_does_not_stays() -> None:
    assert epochs(Pace(5.0), (200_000, 0.1), (100_000, 0.1)) == [250_000, 250_000]


def test_a_long_epoch_takes_more() -> None:
    assert Pace(15.0).cap == 600_000
