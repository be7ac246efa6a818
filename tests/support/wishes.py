"""What people said at run time, heard by whoever counts it."""

from monitor import ports
from monitor.core.model import InstanceKey
from monitor.wishes import Hearers, Wishes
from tests.support import clock


class Heard:
    """Stands for the stations."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def added(self, key: InstanceKey) -> None:
        self.lines.append(f"added {key}")

    async def removed(self, source: str) -> None:
        self.lines.append(f"removed in {source}")

    def paused(self, key: InstanceKey) -> None:
        self.lines.append(f"paused {key}")

    def resumed(self, key: InstanceKey) -> None:
        self.lines.append(f"resumed {key}")

    @property
    def hearers(self) -> Hearers:
        return Hearers(
            added=self.added,
            removed=self.removed,
            paused=self.paused,
            resumed=self.resumed,
        )


def nobody_s(memory: ports.Wishes) -> Wishes:
    return Wishes(memory, Heard().hearers, now=clock.now)
