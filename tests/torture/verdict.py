"""What was promised and not kept: each breach is a sentence."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from monitor.core.shards import shard
from tests.e2e import balance, contract, truth
from tests.e2e.receiver import Delivery, Receiver
from tests.torture import audit
from tests.torture.evidence import Evidence
from tests.torture.seen import Sight

HELD_TO_SCHEMA: Final = 5000
"""Messages of a long run that are held against their schema."""


class Repeat(Struct, frozen=True):
    """A message that came more than once, and what explains it, if anything."""

    id: str
    shard: int
    moments: tuple[float, ...]
    why: str | None


class Verdict(Struct, kw_only=True):
    lost: list[str]
    stale: list[str]
    epochs: list[str]
    inventions: list[str]
    disorder: list[str]
    unexplained: list[str]
    missed: list[str]
    untrue: list[str]
    unsettled: list[str]
    malformed: list[str]

    @property
    def breaches(self) -> dict[str, list[str]]:
        """Give what was found, by the name of the promise."""
        found = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: lines for name, lines in found.items() if lines}


def judge(evidence: Evidence, sight: Sight, repeated: list[Repeat]) -> Verdict:
    receiver, record = evidence.receiver, evidence.record
    return Verdict(
        lost=[*balance.losses(receiver, record)],
        stale=[*audit.stale(evidence.writes, evidence.lives)],
        epochs=[str(fall) for fall in evidence.sampler.falls],
        inventions=[*balance.inventions(receiver, record), *sight.invented()],
        disorder=[*balance.disorder(receiver.events())],
        unexplained=[f"{r.id}: at {r.moments}" for r in repeated if r.why is None],
        missed=[*sight.missed()],
        untrue=[
            *(str(each) for each in truth.untrue(evidence.world, record)),
            *truth.mistold(receiver, record),
        ],
        unsettled=evidence.unsettled,
        malformed=[
            *balance.forgeries(receiver),
            *contract.breaches(receiver.taken[-HELD_TO_SCHEMA:]),
        ],
    )


def repeats(evidence: Evidence) -> Iterator[Repeat]:
    """List what was taken more than once, with the fault that is to blame."""
    for id_, deliveries in _accepted(evidence.receiver).items():
        if len(deliveries) > 1:
            whose = shard(deliveries[0].said["partitionkey"])
            moments = tuple(delivery.at for delivery in deliveries)
            yield Repeat(id_, whose, moments, _why(evidence, whose, moments))


def _accepted(receiver: Receiver) -> dict[str, list[Delivery]]:
    deliveries: dict[str, list[Delivery]] = defaultdict(list)
    for delivery in receiver.deliveries:
        if delivery.accepted:
            deliveries[delivery.id].append(delivery)
    return deliveries


def _why(evidence: Evidence, whose: int, moments: tuple[float, ...]) -> str | None:
    found = (s.kind.value for s in evidence.struck if s.explains(whose, moments))
    return next(found, None)
