"""Who owns what: every key has a shard, and each shard one daemon.

Whatever is told or owned has a key (an instance, a scope, a source, a group), and its
shard is that key's hash.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import xxhash

SHARDS: Final = 64

ALL: Final = frozenset(range(SHARDS))

AT_ONCE: Final = 8
"""Shards that are given up in one round, so that those who take them keep pace."""

SETTLED: Final = 10.0
"""Seconds for which a shard stays where it is, so that none goes to and fro."""


def shard(key: str) -> int:
    """Map a key to its shard: fixed for ever, whatever machine computes it."""
    return xxhash.xxh64_intdigest(key.encode()) % SHARDS


def quota(living: int) -> int:
    """Say how many shards one of so many daemons owns at most."""
    return -(-SHARDS // max(1, living))


def surplus(taken_at: Mapping[int, float], most: int, now: float) -> list[int]:
    """Choose whom to give up of the shards that were taken then; *now* in seconds."""
    over = min(AT_ONCE, len(taken_at) - most)
    settled = sorted(s for s, at in taken_at.items() if now - at >= SETTLED)
    return settled[: max(0, over)]


def claims(free: Iterable[int], owned: int, most: int) -> Sequence[int]:
    """Choose whom to claim, of *free* ones in the order in which they are given."""
    return [*free][: max(0, most - owned)]
