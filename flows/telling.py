"""Bytewax makes a panic of the exception that ends a worker, and in a cluster it loses it. So each is told
where it leaves our code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flows.settings import Run

T = TypeVar("T")
_CALLED = ("next_batch", "on_batch", "on_notify", "on_eof", "write_batch", "snapshot")  # by Bytewax


def telling(run: Run, build: Callable[[], T]) -> T:
    """What `build` makes; `run.failing` is told of every exception that the making or a method raises."""

    def noting(method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any) -> Any:
            try:
                return method(*given)
            except StopIteration:  # the end of the input
                raise
            except BaseException as error:
                run.failing(error)
                raise

        return noted

    part = noting(build)()
    for name in _CALLED:
        if hasattr(part, name):
            setattr(part, name, noting(getattr(part, name)))
    made: T = part
    return made
