"""A replayed state becomes the live one, at an exact offset; and the way back.

The state first repeats what the live run lets in meanwhile, in the order in which that does, until the live
run has been stopped. Then both have worked off the same records of every partition, and time has come
equally far. From there the next live run goes on with the new state. The old one is kept; it can come back
in the same manner.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from flows import fixed, kafka, recorded, replay, supervise, swap
from flows import plan as planning
from flows import resume as resuming
from flows.lookup import scope_of
from flows.plan import LIVE, Part, Plan
from flows.resume import Resume
from flows.sink import Lows
from flows.swap import BEFORE, PENDING, SEAM
from flows.telemetry import log
from operators import playbook
from operators.playbook import Playbook
from schemas import topics
from state import points
from state.directory import Directory
from state.errors import StateError
from state.points import SEQUENCE

WAS_LIVE = "was-live"  # the file in a state directory that says where it was as a live one
AGAIN_AFTER = 2.0  # seconds between rounds while the live run is waited for


def promote(new: Path, live: Path, brokers: str) -> str:
    """The state of the replay in `new` takes the place of that in `live`; what was done, in words.

    Returns only when the live run has been stopped by somebody. Raises KafkaTrouble, StateError, and
    KeyboardInterrupt when it is stopped itself.
    """
    with swap.alone(live):
        if (done := swap.settle(live)) is not None:
            return _done(done)
        root = _replayed(new)
        return _hand_over(root, scope_of(live, root.name), brokers)


def _replayed(new: Path) -> Path:
    """The state in `new` that can take the place of a live one. Raises StateError when there is none."""
    root = scope_of(new)
    plan = planning.read(root)
    if plan is None and (root / PENDING).exists():
        return root
    if plan is None:
        raise StateError(f"{root} holds no replay; oncue replay makes one")
    if any(part.files for part in plan.parts):
        raise StateError(
            f"{root} was replayed from files, whose records have no place on the topics the live run reads. "
            "Replay the topics to hand over"
        )
    if plan.chosen:
        raise StateError(
            f"{root} holds only some customers (--customers); the others would be lost. Replay everybody to "
            "hand over"
        )
    if not plan.round and not _resume(root).finished:
        raise StateError(f"the replay in {root} has not come to its end; run the same oncue replay first")
    return root


def undo(live: Path, brokers: str) -> str:
    """The state that `promote` replaced comes back, after it has worked off what came since."""
    with swap.alone(live):
        if (done := swap.settle(live)) is not None:
            return _done(done)
        folder = live / BEFORE
        if not folder.is_dir():
            raise StateError(f"{live} holds no state from before a promote; there is nothing to undo")
        root = scope_of(folder)
        if planning.read(root) is None and not (root / PENDING).exists():
            _make_replay(root, _seam(live / root.name))
        return _hand_over(root, scope_of(live, root.name), brokers)


def _hand_over(root: Path, live_root: Path, brokers: str) -> str:
    swap.check(root, live_root)  # said now, not when the live run is stopped
    book = playbook.load((root / "playbook.yaml").read_text(), str(root / "playbook.yaml"))
    order = topics.order(book.scope)
    pending = root / PENDING
    live = Directory(live_root.parent, live_root.name)

    def keep_up() -> None:
        if pending.exists():
            made = resuming.decode(pending.read_bytes())
            if kafka.end(brokers, (order, 0)) == made.position:
                return
            if planning.read(root) is None:  # it was made live, not put in its place, and live went on
                _make_replay(root, made)
            pending.unlink()
        _catch_up(root, book, brokers)

    keep_up()
    with _stopped(live, keep_up):
        keep_up()
        if not pending.exists():
            mine, theirs = _resume(root), _resume(live_root)
            inputs = {kafka.show((part.topic, part.partition)) for part in _plan(root).parts}
            _check_seam(mine, theirs, inputs, order, brokers)
            pending.write_bytes(resuming.encode(_live_resume(mine, theirs, inputs, book.scope, brokers)))
        _make_live(root, resuming.decode(pending.read_bytes()), book, brokers)
        swap.swap(root, live_root)
    return _done(live_root)


def _done(live_root: Path) -> str:
    return (
        f"{live_root} goes on with cut {_resume(live_root).number + 1}. Start oncue run with its playbook, "
        f"which is in {live_root / 'playbook.yaml'}. The state that it replaced is in "
        f"{live_root.parent / BEFORE}; oncue promote --undo brings that back"
    )


# --- catching up ----------------------------------------------------------------------------------------


def _catch_up(root: Path, book: Playbook, brokers: str) -> None:
    """Repeat what the live run has let in since, up to where its order ends now."""
    plan, order = _plan(root), topics.order(book.scope)
    end = kafka.end(brokers, (order, 0))
    if plan.cuts is not None and plan.round and plan.cuts.end >= end and _resume(root).finished:
        return
    found = recorded.survey(brokers, order, None, None, (0, end))
    known = {(part.topic, part.partition): part for part in plan.parts}
    ends = {place: at for place, at in found.ends.items() if place[0] in book.inputs}
    parts = []
    for place in sorted(ends.keys() | known.keys(), key=lambda it: (book.inputs.index(it[0]), it[1])):
        before = known.get(place)
        start = found.starts[place] if before is None else before.start
        parts.append(Part(*place, start, max(ends.get(place, 0), start if before is None else before.end)))
    cuts = plan.cuts or planning.Cuts(0, 0, -1)
    plan = msgspec.structs.replace(
        plan,
        order=LIVE,
        parts=parts,
        cuts=planning.Cuts(cuts.start, end, cuts.incarnation),
        round=plan.round + 1,
    )
    run = replay.ready(replay.make((root / "playbook.yaml").read_text(), book, brokers, root.parent, plan))
    log.say(f"repeating the cuts of {order} up to offset {end}")
    try:
        with supervise.signals_kept():
            code = supervise.supervise(run, str(root / "playbook.yaml"), 1)
    finally:
        os.close(run.directory.lock_handle)
    if run.stop.is_set():
        raise KeyboardInterrupt
    if code or not _resume(root).finished:
        raise StateError(f"{root} did not catch up (exit code {code}); the same command goes on")


def _make_replay(root: Path, seam: Resume) -> None:
    """Let a state that was live repeat what came since, writing to topics of its own. Until the seam its
    moves that were under way are on the live topic."""
    kept = root / WAS_LIVE
    if not kept.exists():
        kept.write_bytes(resuming.encode(_resume(root)))
    found = resuming.decode(kept.read_bytes())
    scope = root.name
    book = playbook.load((root / "playbook.yaml").read_text(), str(root / "playbook.yaml"))
    parts, moves = [], []
    for name, offset in found.offsets.items():
        topic, _, partition = name.rpartition("/")
        if topic in book.inputs:
            parts.append(Part(topic, int(partition), offset, offset))
        elif topic == topics.output(scope, topics.MOVES):
            moves.append((topic, int(partition), offset))
    resume = msgspec.structs.replace(
        found,
        offsets={name: at for name, at in found.offsets.items() if not name.startswith(f"{scope}.control/")},
        position=0, incarnation=-1, marker=None, ended=False, ends_at=None, finished=False, repeated=-1,
        round=0,
    )  # fmt: skip
    _take_up_at(root, resume)
    planning.write(
        root,
        Plan(
            asked={"undo": scope},
            playbook=book.hash,
            space=f"{scope}.undo-{found.number}",
            output=replay.SHADOW,
            order=LIVE,
            parts=parts,
            cuts=planning.Cuts(found.position, found.position, found.incarnation),
            round=1,
            moves=[Part(t, p, at, max(at, seam.offsets.get(f"{t}/{p}", at))) for t, p, at in moves],
        ),
    )
    kept.unlink()


# --- the seam -------------------------------------------------------------------------------------------


@contextmanager
def _stopped(live: Directory, meanwhile: Callable[[], None]) -> Iterator[None]:
    """While the live run is stopped; until it is, the new state keeps up with it."""
    said = False
    while True:
        try:
            live.lock()
            break
        except StateError as running:
            if not said:
                log.say(f"caught up. Stop the live run now (SIGTERM); it is waited for: {running}")
                said = True
            meanwhile()
            time.sleep(AGAIN_AFTER)
    try:
        yield
    finally:
        os.close(live.lock_handle)


def _check_seam(mine: Resume, theirs: Resume, inputs: set[str], order: str, brokers: str) -> None:
    """Raises StateError unless both states are of exactly the same records, and as far in time."""
    reader = recorded.Recorded(
        brokers, order, theirs.position, kafka.end(brokers, (order, 0)), theirs.incarnation
    )
    try:
        while not reader.done:
            if (written := reader.peek(0.1)) is not None:
                raise StateError(
                    f"the live run was not stopped cleanly: cut {written.cut.number} is in {order} and not "
                    "in its state, so not all of its output may be sent. Start it again, stop it with "
                    "SIGTERM, and then promote"
                )
    finally:
        reader.close()
    ahead = [
        f"{name} at {mine.offsets[name]}, the live run at {theirs.offsets.get(name, 0)}"
        for name in sorted(inputs)
        if mine.offsets[name] != theirs.offsets.get(name, 0)
    ]
    if mine.watermark != theirs.watermark:
        ahead.append(f"event time {mine.watermark}, the live run's {theirs.watermark}")
    if ahead:
        raise StateError(
            f"the replay has come to other places than the live run: {'; '.join(ahead)}. Let the live run go "
            "on until it has read as much, stop it, and promote again"
        )


def _live_resume(mine: Resume, theirs: Resume, inputs: set[str], scope: str, brokers: str) -> Resume:
    """Where the next live run goes on: behind all that is written, with the new state's view of the input.
    Moves that are still under way are the old state's."""
    order = topics.order(scope)
    end = kafka.end(brokers, (order, 0))
    reader = recorded.Recorded(brokers, order, theirs.position, end, theirs.incarnation)
    try:
        while not reader.done:
            reader.peek(0.1)
        incarnation, marker = reader.incarnation, reader.marker
    finally:
        reader.close()
    internal = {
        name: kafka.end(brokers, (topic, int(partition))) if topic.endswith(".moves") else offset
        for name, offset in theirs.offsets.items()
        for topic, _, partition in [name.rpartition("/")]
        if topic.startswith(f"{scope}.")
        and topic in (topics.output(scope, topics.MOVES), topics.output(scope, topics.CONTROL))
    }
    return Resume(
        offsets={name: mine.offsets[name] for name in sorted(inputs)} | internal,
        highest={name: mine.highest.get(name, -1) for name in sorted(inputs)},
        number=max(mine.number, theirs.number),
        watermark=mine.watermark,
        position=end,
        incarnation=incarnation,
        marker=marker,
        ended=False,
        ends_at=None,
        finished=False,
    )


def _make_live(root: Path, made: Resume, book: Playbook, brokers: str) -> None:
    """Let the state go on as a live one behind `made`; may be done again."""
    names = {code: topics.output(book.scope, code) for code in book.outputs}
    places = kafka.outputs(names, book.engine.partitions)
    lows = [{topic: kafka.end(brokers, (topic, p)) for topic, p in mine.values()} for mine in places]
    _take_up_at(root, made)
    for index, low in enumerate(lows):
        points.write(
            root / "points", f"sink-{index}", [(made.number, msgspec.msgpack.encode(Lows(low, low)))]
        )
    for file in (planning.FILE, WAS_LIVE):
        (root / file).unlink(missing_ok=True)
    fixed.forget(root)


def _take_up_at(root: Path, resume: Resume) -> None:
    """Make a state go on from `resume`: what Bytewax and the writers remembered is of other topics."""
    shutil.rmtree(root / "recovery", ignore_errors=True)
    for name in points.names(root / "points"):
        (root / "points" / name).unlink()
    points.write(root / "points", SEQUENCE, [(resume.number, resuming.encode(resume))])


def _resume(root: Path) -> Resume:
    found = points.read(root / "points", SEQUENCE)
    if not found:
        raise StateError(f"{root} was never run to a clean stop; start it, and stop it with SIGTERM")
    return resuming.decode(found[-1][1])


def _seam(live_root: Path) -> Resume:
    """Where the live state took over."""
    try:
        return resuming.decode((live_root / SEAM).read_bytes())
    except (OSError, msgspec.DecodeError):
        raise StateError(f"{live_root} says not where it took over ({SEAM}); it cannot be undone") from None


def _plan(root: Path) -> Plan:
    found = planning.read(root)
    assert found is not None
    return found
