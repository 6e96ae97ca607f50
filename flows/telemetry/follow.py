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


def _place(op: Operation) -> str:
    """topic/partition/offset of the event that an operation is about, "" where it is about none."""
    if op[0] == EVENT:
        return f"{op[3]}/{op[4]}"
    return f"{op[1]}/{op[2]}" if op[0] == BAD else ""


def followed(traces: Traces, packs: list[Pack], contexts: dict[str, str], began: int) -> None:
    """Resolved, since `began` (ns): note it, and tell the packs which of their events are followed."""
    end = traces.now()
    for pack in packs:
        mine = {place: it for op in pack.operations if (it := contexts.get(place := _place(op)))}
        if mine:
            pack.traces = {
                place: traces.worked("resolve", it, began, end, pack.number) for place, it in mine.items()
            }


def told(traces: Traces, pack: Pack, effects: list[Effect], began: int) -> list[Effect]:
    """The effects of a pack, each with the context of the event that caused it, now or long ago."""
    contexts = pack.traces or {}
    if contexts:
        end = traces.now()
        for op in pack.operations:
            place = _place(op)
            if place in contexts:
                context = traces.worked("customer", contexts[place], began, end, pack.number)
                traces.remember((place, _message(op)), context)
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


def _message(op: Operation) -> str:
    try:
        return _decode(op[-1]).messageId
    except msgspec.MsgspecError:
        return ""
