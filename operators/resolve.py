"""The fold of a scope: whose event is it? Batches in, one pack per customer shard out."""

from __future__ import annotations

from collections.abc import Collection
from zlib import crc32

import msgspec

from operators import effects, operations
from operators.cuts import Batch
from operators.graph import Progress
from operators.identity import Blocked, BrokenGraph, Identities, Merge
from operators.operations import LEDGER_EVERY, Filled, MoveBody, Operation, Pack
from operators.order import BAD, COMMAND, EVENT, MODEL, MOVE, REFERENCE
from schemas.outbound import Decision, Identity

_decode_move = msgspec.msgpack.Decoder(MoveBody).decode
_decode_filled = msgspec.msgpack.Decoder(Filled).decode


def shard_of(customer: str, shards: int) -> int:
    """The shard that keeps a customer."""
    return crc32(customer.encode()) % shards


class Resolver:
    """Gives every event to a customer, and orders the moves that merges need.

    An event that cannot be resolved is put aside; an error of the type `fatal`, which says that the
    graph cannot be read, is not the event's and ends everything.

    A merge of L into W sends `retire(L, W, n)` to L's shard and `expect(W, n)` to W's, in front of
    the event that caused it. A move that comes back is passed on to the customer it is addressed to.
    """

    def __init__(
        self,
        identities: Identities,
        shards: int,
        progress: Progress,
        fatal: tuple[type[Exception], ...] = (),
        generations: Collection[int] = (),
    ) -> None:
        self._generations = generations
        self._identities = identities
        self._shards = shards
        self.progress = progress
        self._fatal: tuple[type[Exception], ...] = (BrokenGraph, *fatal)
        self._open = set(progress.open_moves)

    def apply(self, batch: Batch) -> list[Pack]:
        shards, places = self._shards, batch.places
        packs: list[list[Operation]] = [[] for _ in range(shards)]
        received = [0] * len(places)
        identities = self._identities
        newest = 0
        for at, index, offset, kind, arrived, keys, raw in batch.events:
            if arrived > newest:
                newest = arrived
            place = places[index]
            if kind == EVENT:
                received[index] += 1
                try:
                    customer = identities.owner(keys)
                    if customer is None:
                        found = identities.link(keys, at, f"{place}/{offset}")
                        customer = found.customer
                        if found.merges or found.blocked:
                            self._linked(packs, found.merges, found.blocked, at, arrived, f"{place}/{offset}")
                except self._fatal:
                    raise
                except Exception as error:
                    packs[crc32(f"{place}/{offset}".encode()) % shards].append(
                        (
                            operations.BAD, place, offset, arrived,
                            "resolve", "failed", f"{type(error).__name__}: {error}", raw,
                        )
                    )  # fmt: skip
                    continue
                packs[crc32(customer.encode()) % shards].append(
                    (operations.EVENT, customer, at, place, offset, arrived, keys[0], raw)
                )
            elif kind == MOVE:
                body = _decode_move(raw)
                self._open.discard(body.number)
                packs[shard_of(body.winner, shards)].append(
                    (operations.MOVED, body.winner, body.number, body.record)
                )
            elif kind == REFERENCE:
                received[index] += 1
                owner = crc32(f"{place}/{offset}".encode()) % shards
                told = (operations.REFERENCE, place, offset, owner, *keys)
                for pack in packs:
                    pack.append(told)
            elif kind == MODEL:
                if raw:  # else an old one is no longer kept
                    owner = crc32(f"{place}/{offset}".encode()) % shards
                    after = max(self.progress.newest, batch.before)
                    for pack in packs:
                        pack.append((operations.MODEL, place, offset, owner, after, raw))
            elif kind == COMMAND:
                if keys == operations.FILL_COMMAND:
                    self._fill(packs, _decode_filled(raw))
            elif kind == BAD:
                received[index] += 1
                reason, detail = keys
                packs[crc32(f"{place}/{offset}".encode()) % shards].append(
                    (operations.BAD, place, offset, arrived, "header", reason, detail, raw)
                )
        if batch.events and batch.events[-1][0] > self.progress.newest:  # they are in the order of time
            self.progress.newest = batch.events[-1][0]
        self._count(places, received)
        last = self._finish(packs, batch, received)
        return [
            Pack(shard, batch.number, batch.watermark, batch.before, batch.run, newest, last, mine)
            for shard, mine in enumerate(packs)
        ]

    def _fill(self, packs: list[list[Operation]], found: Filled) -> None:
        """Give what history says of new features to those it is about now."""
        shards, generation = self._shards, found.generation
        for leaf, counted in found.shares:
            customer = self._identities.owners.get(leaf)
            if customer is not None:
                packs[shard_of(customer, shards)].append((operations.FILL, customer, generation, counted))
        if found.over:
            through = self.progress.filled.setdefault(generation, [])
            through.append(found.shard)
            if len(through) == shards:
                for pack in packs:
                    pack.append((operations.FILLED, generation))

    def _filling(self) -> bool:
        filled = self.progress.filled
        return any(len(filled.get(it, ())) < self._shards for it in self._generations)

    def _count(self, places: list[str], received: list[int]) -> None:
        totals = self.progress.received
        for place, count in zip(places, received, strict=True):
            if count:
                topic = place.rpartition("/")[0]
                totals[topic] = totals.get(topic, 0) + count

    def _finish(self, packs: list[list[Operation]], batch: Batch, received: list[int]) -> bool:
        """Whether the shards are to close their books: the input has ended, or since then all is home. What
        comes after an end takes it back: a replay can be continued."""
        progress = self.progress
        more = any(received)
        if batch.last or more:
            progress.announced = False
        progress.ended = batch.last or (progress.ended and not more)
        home = progress.ended and not progress.announced and not self._open and not self._filling()
        if batch.number % LEDGER_EVERY == 0 or batch.last or home:
            packs[0].append((operations.TALLY, {t: {"in": n} for t, n in progress.received.items()}))
        if home:
            progress.announced = True
            packs[0].append((operations.PASS, tuple(effects.command("done", progress.ends))))
            progress.ends += 1
        progress.open_moves = sorted(self._open)
        return batch.last or home

    def _linked(
        self,
        packs: list[list[Operation]],
        merges: tuple[Merge, ...],
        blocked: tuple[Blocked, ...],
        at: int,
        arrived: int,
        event: str,
    ) -> None:
        shards = self._shards
        for loser, winner, keys in merges:
            self.progress.moves += 1
            number = self.progress.moves
            self._open.add(number)
            packs[shard_of(loser, shards)].append((operations.RETIRE, loser, winner, number, at))
            mine = packs[shard_of(winner, shards)]
            mine.append((operations.EXPECT, winner, number, at))
            body = Identity(winner, loser, event, at, list(keys), number)
            mine.append((operations.PASS, tuple(effects.identity(body, arrived))))
        for refusal in blocked:
            customer, other, key, reason = refusal
            held = Decision(
                "identity", customer, "merge-blocked", at, key, {"other": other, "policy": reason}
            )
            effect = effects.decision(f"blocked:{event}:{key}", held, arrived, event)
            packs[shard_of(customer, shards)].append((operations.PASS, tuple(effect)))
