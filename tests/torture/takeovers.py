"""How long each shard was without a living owner after its own was struck."""

from collections.abc import Iterator

from msgspec import Struct

from tests.torture.evidence import Evidence, Struck
from tests.torture.schedule import LEASE, PROMISE, Kind


class Takeover(Struct, frozen=True):
    """*seconds* from the fault until another living process had the shard.

    None: none ever had. *disturbed*: the database was away meanwhile.
    """

    kind: Kind
    shard: int
    at: float
    seconds: float | None
    disturbed: bool


def takeovers(evidence: Evidence) -> Iterator[Takeover]:
    """List those that must follow a fault, and those that did all the same."""
    for struck in evidence.struck:
        for shard in struck.shards if struck.pid else ():
            seconds = _without_owner(evidence, struck, shard)
            if _must_be_replaced(struck) or _was_replaced(struck, seconds):
                disturbed = _disturbed(evidence, struck)
                yield Takeover(struck.kind, shard, struck.at, seconds, disturbed)


def _must_be_replaced(struck: Struck) -> bool:
    if struck.kind in (Kind.KILL, Kind.DRAIN):
        return True
    return struck.kind in (Kind.STOP, Kind.HOLE) and struck.lasted >= PROMISE


def _was_replaced(struck: Struck, seconds: float | None) -> bool:
    return seconds is not None and LEASE / 2 < seconds <= struck.lasted + LEASE


def _without_owner(evidence: Evidence, struck: Struck, shard: int) -> float | None:
    later = evidence.sampler.after(shard, struck.at)
    ends = [*(tenure.at for tenure in later[1:]), evidence.ended]
    for tenure, end in zip(later, ends, strict=False):
        life = evidence.life(tenure.pid)
        if life and tenure.pid != struck.pid:
            # Whoever took it may be stopped, or about to begin anew.
            for begin, until in life.well(evidence.ended):
                served = max(begin, tenure.at)
                if served < min(until, end):
                    return served - struck.at
    return None


def _disturbed(evidence: Evidence, struck: Struck) -> bool:
    return any(
        begin <= struck.at + PROMISE and until + LEASE >= struck.at
        for begin, until in evidence.outages
    )
