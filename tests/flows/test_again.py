"""Starting again by itself: sooner at first, then later, then not any more."""

import time

from flows.again import MOST_QUICK, QUICK, Restarts


def test_quick_ends_are_followed_by_longer_and_longer_pauses_and_then_by_none() -> None:
    restarts = Restarts()
    pauses = [restarts.pause() for _ in range(MOST_QUICK)]
    assert pauses == [0.4, 0.8, 1.6, 3.2, None]


def test_a_run_that_lived_for_a_while_is_started_again_at_once() -> None:
    restarts = Restarts(quick=MOST_QUICK - 1)
    restarts.began = time.monotonic() - QUICK
    assert restarts.pause() == 0.2
