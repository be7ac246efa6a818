"""What is known after a run: what was done, what was seen, what was received."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from monitor.simulator.world import World
from tests.e2e.receiver import Receiver
from tests.e2e.record import Record
from tests.torture.audit import Write
from tests.torture.looks import Looks
from tests.torture.members import Life
from tests.torture.sampling import Sampler
from tests.torture.schedule import Kind, Plan

IN_FLIGHT: Final = 5.0
"""Seconds before and after a fault in which what was being sent may come twice."""


class Struck(Struct):
    """A fault that was done: to the process *pid*, which had *shards*; 0: to all."""

    kind: Kind
    pid: int
    at: float
    until: float
    shards: frozenset[int]

    @property
    def lasted(self) -> float:
        return self.until - self.at

    def explains(self, shard: int, moments: Sequence[float]) -> bool:
        """Tell whether something about *shard* at one of *moments* may be its doing."""
        begin, end = self.at - IN_FLIGHT, self.until + IN_FLIGHT
        concerned = not self.pid or shard in self.shards
        return concerned and any(begin <= moment <= end for moment in moments)


class Evidence:
    """All moments are of the event loop's clock."""

    def __init__(
        self, plan: Plan, world: World, receiver: Receiver, began: float
    ) -> None:
        self.plan = plan
        self.world = world
        self.told = world.record = Looks()
        self.receiver = receiver
        self.began = began
        self.zero = began - world.now()
        """When the world's second 0 was."""

        self.ended = self.began
        self.struck: list[Struck] = []
        self.lives: list[Life] = []
        self.writes: list[Write] = []
        self.unsettled: list[str] = []
        """What was not reached in the end, however long it was waited for."""

        self.skewed = False
        self.date_of_zero = 0.0
        """The date at second 0 of the loop's clock."""

        self.sampler: Sampler
        self.record: Record

    @property
    def outages(self) -> list[tuple[float, float]]:
        return [(s.at, s.until) for s in self.struck if s.kind is Kind.RESTART]

    @property
    def severed(self) -> list[Struck]:
        return [struck for struck in self.struck if struck.kind is Kind.SEVER]

    def looks(self) -> dict[str, list[float]]:
        """Tell when JOB was asked about each instance, and answered."""
        return {
            f"prod/biz/{self.world.instances[instance]}": [
                self.zero + second for second in sorted(seconds)
            ]
            for instance, seconds in self.told.at.items()
            if instance in self.world.instances
        }

    def life(self, pid: int) -> Life | None:
        return next((life for life in self.lives if life.pid == pid), None)

    def timeline(self) -> bytes:
        """Write down what was done and who owned what, in seconds of the loop's clock."""
        told = {
            "began": self.began,
            "ended": self.ended,
            "date_of_zero": self.date_of_zero,
            "struck": self.struck,
            "lives": self.lives,
            "tenures": self.sampler.tenures,
            "looks": self.looks(),
        }
        return msgspec.json.encode(told)

    def receipts(self) -> Iterator[bytes]:
        """Write down all that was received: when, and what."""
        for delivery in self.receiver.deliveries:
            told = {"at": delivery.at, "message": msgspec.Raw(delivery.body)}
            yield msgspec.json.encode(told) + b"\n"
