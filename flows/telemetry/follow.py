"""Between the steps and the traces: which operations and effects belong to an event that is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from flows.telemetry import log
from operators.effects import Effect
from operators.operations import BAD, EVENT, Operation, Pack
from schemas import topics

if TYPE_CHECKING:
    from flows.telemetry.traces import Traces


class _Named(msgspec.Struct):
    messageId: str = ""


_decode = msgspec.json.Decoder(_Named).decode


def followed(traces: Traces, packs: list[Pack], contexts: dict[str, str], began: int) -> None:
    """Resolved, since `began` (ns): note it, and tell the packs which of their events are followed. Of nearly
    all that are not the offset alone tells it: a tenth of the time that a look-up by place takes."""
    end = traces.now()
    offsets = {int(place.rpartition("/")[2]) for place in contexts}
    for pack in packs:
        mine = {}
        for number, op in enumerate(pack.operations):
            offset = op[4] if op[0] == EVENT else op[2] if op[0] == BAD else -1
            if offset in offsets and (context := contexts.get(_place(op))):
                mine[number] = traces.worked("resolve", context, began, end, pack.number)
        if mine:
            pack.traces = mine


def told(traces: Traces, pack: Pack, effects: list[Effect], began: int) -> list[Effect]:
    """The effects of a pack, each with the context of the event that caused it, now or long ago."""
    if pack.traces:
        end = traces.now()
        for number, parent in pack.traces.items():
            op = pack.operations[number]
            context = traces.worked("customer", parent, began, end, pack.number)
            traces.remember((_place(op), _message(op)), context)
    out = []
    for effect in effects:
        context = traces.of(effect.cause)
        if context:
            effect = effect._replace(trace=context)
            if effect.topic == topics.DEAD_LETTERS:
                log.say(
                    f"{effect.cause} is dead-lettered: {effect.reason}", "WARN", context,
                    **{"oncue.stage": effect.group, "oncue.reason": effect.reason},
                )  # fmt: skip
        out.append(effect)
    return out


def _place(op: Operation) -> str:
    return f"{op[3]}/{op[4]}" if op[0] == EVENT else f"{op[1]}/{op[2]}"


def _message(op: Operation) -> str:
    try:
        return _decode(op[-1]).messageId
    except msgspec.MsgspecError:
        return ""
