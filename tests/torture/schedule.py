"""Which fault strikes whom, and when: all of it follows from the seed."""

from collections.abc import Iterator
from enum import StrEnum
from itertools import chain, repeat
from random import Random
from typing import Final

from msgspec import Struct

LEASE: Final = 10.0
RENEWAL: Final = 2.0
PROMISE: Final = LEASE + 2 * RENEWAL
"""Seconds within which others have all shards of a daemon that is gone."""

RECOVERY: Final = 4.0
"""Seconds that a daemon is left alone after its fault, so that it works again."""


class Kind(StrEnum):
    KILL = "kill"
    """SIGKILL; it is started again."""

    STOP = "stop"
    """SIGSTOP for longer than the lease, then SIGCONT."""

    DRAIN = "drain"
    """SIGTERM; it is started again."""

    SEVER = "sever"
    """Its connections to the database are cut."""

    HOLE = "hole"
    """Nothing passes between it and the database, and nothing is closed."""

    RESTART = "restart"
    """The database crashes and is started again."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a run does; *hole_seconds* is how long each of the *holes* lasts."""

    daemons: int = 3
    instances: int = 3000
    kills: int = 100
    stops: int = 100
    drains: int = 10
    severs: int = 20
    restarts: int = 10
    holes: int = 3
    hole_seconds: float = 60.0
    skew: float = 3600.0
    seed: int = 1
    duration: float = 2400.0
    beat: float = 40.0
    """Seconds that each state of an instance lasts, of others shorter ones."""

    max_interval: float = 5.0
    patience: float = 180.0
    """Seconds for all to be known and told, once nothing is wrong any more."""

    slack: float = 20.0
    """Seconds beyond two of those, after which an instance has surely been asked for:
    all machines have read its list by then, and whoever took over has looked at all."""


class Fault(Struct, frozen=True):
    """At second *at* of the run *kind* strikes *member*, and lasts *seconds*.

    The database itself is nobody's: None.
    """

    at: float
    kind: Kind
    member: int | None
    seconds: float = 0.0


def faults(plan: Plan) -> Iterator[Fault]:
    """Spread the faults over the run; one daemon at least is left in peace."""
    luck = Random(plan.seed)
    kinds = _kinds(plan)
    luck.shuffle(kinds)
    peace = [0.0] * plan.daemons
    now = 0.0
    for kind in kinds:
        now += plan.duration / len(kinds) * luck.uniform(0.5, 1.5)
        if kind is Kind.RESTART:
            yield Fault(now, kind, None)
            continue
        seconds = _seconds(plan, kind, luck)
        now = max(now, _earliest(peace))
        # Who was left alone the longest has the most shards.
        victim = peace.index(min(peace))
        yield Fault(now, kind, victim, seconds)
        peace[victim] = now + seconds + RECOVERY


def _kinds(plan: Plan) -> list[Kind]:
    numbers = {
        Kind.KILL: plan.kills,
        Kind.STOP: plan.stops,
        Kind.DRAIN: plan.drains,
        Kind.SEVER: plan.severs,
        Kind.RESTART: plan.restarts,
        Kind.HOLE: plan.holes,
    }
    return [*chain.from_iterable(repeat(kind, n) for kind, n in numbers.items())]


def _seconds(plan: Plan, kind: Kind, luck: Random) -> float:
    match kind:
        case Kind.STOP:
            return PROMISE + luck.uniform(1.0, 4.0)
        case Kind.HOLE:
            return plan.hole_seconds
        case Kind.KILL | Kind.DRAIN:
            return luck.uniform(0.0, 3.0)  # until it is started again
    return 0.0


def _earliest(peace: list[float]) -> float:
    """Say when a daemon may be struck: another one is well then, if there is one."""
    return sorted(peace)[min(1, len(peace) - 1)]
