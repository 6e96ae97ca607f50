"""Where Bytewax sends a key, and key names that spread the work evenly.

Bytewax 0.21 gives a key to worker SipHash-1-3(key, zero keys) modulo workers. Shard i gets a name whose
hash is i modulo `shards`, so that shards spread evenly over every number of workers that divides them, and
over three; but every eighth goes to the next worker. Worker 0 has the source and resolve, too, and packs
what goes to the others: with 2 workers it has 3 of 8 shards, with 3 two, with 4 one, with 8 none.
"""

from __future__ import annotations

# Bytewax builds a source's only partition on worker 0. This name's hash divides by every number up to 16,
# so the step that gets it sits there too, and batches are not pickled on their way to it.
BESIDE_SOURCE = "scope.467066"

THREES = (1, 2, 0, 1, 2, 1, 2, 0)  # the i-th shard's place among three workers, repeated

_MASK = (1 << 64) - 1


def siphash13(data: bytes) -> int:
    """SipHash-1-3 with zero keys (Aumasson and Bernstein, 2012), as Rust's default hasher has it."""
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
    length = len(data)
    padded = data + b"\0" * (7 - length % 8) + bytes([length & 0xFF])

    def turn() -> None:
        nonlocal v0, v1, v2, v3
        v0 = (v0 + v1) & _MASK
        v1 = (v1 << 13 | v1 >> 51) & _MASK ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _MASK
        v2 = (v2 + v3) & _MASK
        v3 = (v3 << 16 | v3 >> 48) & _MASK ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = (v3 << 21 | v3 >> 43) & _MASK ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = (v1 << 17 | v1 >> 47) & _MASK ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _MASK

    for start in range(0, len(padded), 8):
        word = int.from_bytes(padded[start : start + 8], "little")
        v3 ^= word
        turn()
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(3):
        turn()
    return v0 ^ v1 ^ v2 ^ v3


def worker_of(key: str, workers: int) -> int:
    """The worker that gets `key`. Rust hashes a string with a closing 0xFF byte."""
    return siphash13(key.encode() + b"\xff") % workers


def spread(prefix: str, count: int) -> list[str]:
    """`count` key names, each with a hash that puts it where it belongs."""
    names = []
    for index in range(count):
        wanted = {count: index + 1 if index % 8 == 0 and count >= 8 else index}
        if count % 3:
            wanted[3] = THREES[index % 8]
        salt = 0
        while any(
            worker_of(name := f"{prefix}-{index:02d}.{salt}", workers) != its
            for workers, its in wanted.items()
        ):
            salt += 1
        names.append(name)
    return names
