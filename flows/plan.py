"""What a replay was asked to do, worked out once and kept in its state directory.

So the same command goes on where it stopped, over the same records, whatever was written since.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from schemas import topics
from state.errors import StateError, unusable

Order = Literal["event-time", "live"]
EVENT_TIME: Order = "event-time"
LIVE: Order = "live"
_INTERNAL = (topics.MOVES, topics.CONTROL)
DECIDED = "decided"  # output: only what a rehearsal compares
_DECIDED = (*_INTERNAL, topics.TRIGGERS, topics.DECISIONS, topics.DEAD_LETTERS)
PUBLISHED = (topics.TRIGGERS, topics.DECISIONS, topics.IDENTITIES)
FILE = "replay.json"


class Part(msgspec.Struct, array_like=True, frozen=True):
    """A partition of the input from `start` to before `end`; of an archive if there are `files`."""

    topic: str
    partition: int
    start: int
    end: int
    files: list[str] = []


class Cuts(msgspec.Struct, array_like=True, frozen=True):
    """The records of a live `order` that are repeated: offsets `start` to before `end`. `incarnation` is
    the offset of the marker that counts at `start`, -1 at the beginning."""

    start: int
    end: int
    incarnation: int


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A bounded range, and where to write.

    `asked`: the settings as they were written on the command line. `playbook` is the hash of the one it was
    begun with. `round` counts how often it was continued after its end. `moves` are parts of the live
    `moves` topic that are let in, too, `models` the end of that of models. `transform` is a file that mends
    dead letters; with `chosen` only customers are let in whose identifiers are beside the plan. `published`:
    decisions go to the scope's own topics. `fixed`: by subject the version of the model that gives all
    scores; the models are beside the plan.
    """

    asked: dict[str, str]
    playbook: str
    space: str
    output: str
    order: Order = "event-time"
    parts: list[Part]
    cuts: Cuts | None = None
    round: int = 0
    moves: list[Part] = []
    models: int = 0
    transform: str = ""
    chosen: bool = False
    published: bool = False
    fixed: dict[str, int] = {}

    @property
    def read_topics(self) -> list[str]:
        """Topics of the input that are on the broker."""
        return list(dict.fromkeys(part.topic for part in self.parts if not part.files))

    @property
    def events(self) -> int:
        """How many records there are at most: transactions leave gaps."""
        return sum(part.end - part.start for part in self.parts)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Codes of the topics that are written."""
        some = {"none": _INTERNAL, DECIDED: _DECIDED}
        if self.published:
            return (*_INTERNAL, *PUBLISHED)
        return some.get(self.output, tuple(range(len(topics.OUTPUTS))))

    def space_of(self, scope: str, code: int) -> str:
        """What the name of an output topic begins with."""
        return scope if self.published and code in PUBLISHED else self.space


_decode = msgspec.json.Decoder(Plan).decode


def read(root: Path) -> Plan | None:
    """The plan of the replay that the state at `root` is of. None when it is of none. Raises StateError."""
    try:
        return _decode((root / FILE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise unusable(f"cannot read {root / FILE}", error) from None


def write(root: Path, plan: Plan) -> None:
    draft = root / f"{FILE}.tmp"
    try:
        root.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=2))
        draft.replace(root / FILE)
    except OSError as error:
        raise unusable(f"cannot write {root / FILE}", error) from None


def check_same(root: Path, found: Plan, asked: dict[str, str], playbook: str) -> None:
    """Raises StateError naming what this command asks for that the replay begun there does not."""
    wrong = [
        f"--{name} was {found.asked.get(name, '')!r} and is {asked.get(name, '')!r} now"
        for name in sorted(found.asked.keys() | asked.keys())
        if found.asked.get(name, "") != asked.get(name, "")
    ]
    if found.playbook != playbook:
        wrong.append("the playbook says something else")
    if wrong:
        raise StateError(
            f"{root} holds a replay that was begun differently: {'; '.join(wrong)}. The same command goes on "
            "with it; for another replay use another --state"
        )
