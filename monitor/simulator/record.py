"""What has been asked: counts, the latest requests, and how many at once."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """*at* is in seconds of the simulated world; *instance* is None if unreadable."""

    at: float
    endpoint: str
    method: str
    instance: tuple[int, int] | None


class Record:
    def __init__(self, *, remember: int = 1000) -> None:
        self.endpoints: Counter[str] = Counter()
        self.instances: Counter[tuple[int, int]] = Counter()
        self.recent: deque[Request] = deque(maxlen=remember)
        self.throttled = 0
        """How many calls went beyond the quota."""

        self.callbacks: Counter[str] = Counter()
        """How many were delivered, refused (not 200 twice), failed or lost."""

        self.in_flight = 0
        self.most_in_flight = 0

    @property
    def total(self) -> int:
        return self.endpoints.total()

    @contextmanager
    def answering(self, request: Request) -> Iterator[None]:
        """Count *request*, in flight for as long as the block lasts."""
        self.endpoints[request.endpoint] += 1
        if request.instance is not None:
            self.instances[request.instance] += 1
        self.recent.append(request)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1
