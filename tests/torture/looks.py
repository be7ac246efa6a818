"""When each instance was looked at, as the simulator knows it."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from monitor.simulator.record import Record, Request


class Looks(Record):
    """Remembers every answer about an instance that was given to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[tuple[int, int], list[float]] = defaultdict(list)
        """In seconds of the world."""

    @contextmanager
    def answering(self, request: Request) -> Iterator[None]:
        with super().answering(request):
            yield
        if request.instance is not None:
            self.at[request.instance].append(request.at)
