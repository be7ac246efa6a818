"""Who owns what: every key has a shard, and each shard one daemon.

Whatever is told or owned has a key (an instance, a scope, a source, a group), and its
shard is that key's hash.
"""

from collections.abc import Collection, Sequence
from typing import Final

import xxhash

SHARDS: Final = 64

ALL: Final = frozenset(range(SHARDS))

AT_ONCE: Final = 8
"""Shards that are given up in one round, so that those who take them keep pace."""

SETTLED: Final = 10.0
"""Seconds for which whoever took something keeps it all, so that none goes to and fro."""


def shard(key: str) -> int:
    """Map a key to its shard: fixed for ever, whatever machine computes it."""
    return xxhash.xxh64_intdigest(key.encode()) % SHARDS


def quota(daemons: int, fewest: int) -> int:
    """Say how many shards one of so many *daemons* owns at most.

    One more than an even part, if there is a rest, unless another one, which has
    *fewest*, has less than its own.
    """
    even, rest = divmod(SHARDS, max(1, daemons))
    return even + (rest > 0 and fewest >= even)


def surplus(owned: Collection[int], most: int, calm: float) -> Sequence[int]:
    """Choose whom to give up, *calm* seconds after something was taken last."""
    if calm < SETTLED:
        return []
    return sorted(owned)[: max(0, min(AT_ONCE, len(owned) - most))]


def claims(
    free: Sequence[int], owned: int, most: int, forsaken: Collection[int] = ()
) -> Sequence[int]:
    """Choose whom to claim, of *free* ones in the order in which they are given.

    *forsaken* were free before, and whose share they are has not come: rather too many
    here than owned by nobody.
    """
    room = max(0, most - owned)
    return [*free[:room], *(shard for shard in free[room:] if shard in forsaken)]
