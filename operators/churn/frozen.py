"""A learner as bytes. It holds River's objects, so it is opened only by the program that can: format,
River, numpy and Python are compared before a single object is built."""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import version

import msgspec

from operators.churn.learner import Course, Learner
from operators.churn.published import Incompatible

FORMAT = 1


class Frozen(msgspec.Struct, array_like=True):
    """`made_with`: what must be the same to open `state`. `course`: what it learns."""

    format: int
    made_with: dict[str, str]
    course: str
    state: bytes


def here() -> dict[str, str]:
    """What matters of the program that runs."""
    return {
        "river": version("river"),
        "numpy": version("numpy"),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def freeze(learner: Learner) -> bytes:
    return msgspec.msgpack.encode(
        Frozen(FORMAT, here(), repr(learner.course), pickle.dumps(learner, protocol=5))
    )


def thaw(raw: bytes, course: Course) -> Learner:
    """Raises Incompatible, before anything of the state is touched, when another program made it."""
    try:
        found = msgspec.msgpack.decode(raw, type=Frozen)
    except msgspec.MsgspecError as error:
        raise Incompatible(f"the learner's state is damaged: {error}") from None
    different = [
        f"{name} {was}, here {here().get(name)}"
        for name, was in found.made_with.items()
        if here().get(name) != was
    ]
    if found.format != FORMAT:
        different.insert(0, f"format {found.format}, here {FORMAT}")
    if found.course != repr(course):
        different.append("another definition of churn or other contestants")
    if different:
        raise Incompatible(
            f"the learner's state was made with {'; '.join(different)}. Published models stay in use. Start "
            "`oncue learn` with an empty --state: it learns again from all examples that are kept"
        )
    learner = pickle.loads(found.state)
    assert isinstance(learner, Learner)
    return learner
