"""A learner as bytes: plain numbers, and River's own objects beside them.

River keeps its models in no format of its own, so they are pickled; format, River, numpy, Python and what
is learnt are compared before a single one is opened.
"""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import version

import msgspec

from operators.churn.learner import Course, Learner, State
from operators.churn.published import Incompatible
from operators.churn.subject import CHURN, Subject

FORMAT = 3  # raised with every change of `State` or of a contestant


class Frozen(msgspec.Struct, array_like=True):
    """`made_with`: what must be the same to open `river`. `course`: what it learns."""

    format: int
    made_with: dict[str, str]
    course: str
    state: bytes
    river: bytes


def here() -> dict[str, str]:
    """What matters of the program that runs."""
    return {
        "river": version("river"),
        "numpy": version("numpy"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def freeze(learner: Learner) -> bytes:
    state = msgspec.msgpack.encode(learner.keep())
    river = pickle.dumps(learner.river(), protocol=5)
    return msgspec.msgpack.encode(Frozen(FORMAT, here(), repr(learner.course), state, river))


def thaw(raw: bytes, course: Course, subject: Subject = CHURN) -> Learner:
    """Raises Incompatible, before anything of the state is touched, when another program made it."""
    try:
        format, *_ = msgspec.msgpack.decode(raw)
        different = [] if format == FORMAT else [f"format {format}, here {FORMAT}"]
        found = msgspec.msgpack.decode(raw, type=Frozen) if format == FORMAT else None
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise _damaged(error) from None
    if found is not None:
        different += [
            f"{name} {was}, here {here().get(name)}"
            for name, was in found.made_with.items()
            if here().get(name) != was
        ]
        if found.course != repr(course):
            different.append("another definition of what to foretell, or other contestants")
    if found is None or different:
        raise Incompatible(f"the learner's state was made with {'; '.join(different)}. {ANEW}")
    learner = Learner(course, subject)
    try:
        learner.restore(msgspec.msgpack.decode(found.state, type=State), pickle.loads(found.river))
    except (msgspec.MsgspecError, pickle.UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise _damaged(error) from None
    return learner


ANEW = (
    "Published models stay in use. Run `oncue learn` with --anew: it learns again from all examples that are "
    "kept, and publishes from where it was"
)


def _damaged(error: Exception) -> Incompatible:
    return Incompatible(f"the learner's state is damaged ({error}). {ANEW}")
