"""One sink as its dispatcher meets it: tried within bounds, and how it fares.

A try has a deadline, few are under way at once, a bug in a sink is contained here.
What comes of the tries decides whether the sink is left in peace for a while.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

import anyio
import structlog
from msgspec import Struct

from monitor import errors, metering
from monitor.core import circuit
from monitor.core.circuit import CLOSED
from monitor.core.message import Message
from monitor.metering import Histogram, Sample
from monitor.ports import Luck, Now, Sink

AT_ONCE: Final = 8
DEADLINE: Final = 60.0
"""Seconds after which a sink that does not keep its own deadline is given up."""

log = structlog.get_logger()


class Condition(StrEnum):
    WELL = "well"
    FAILING = "failing"
    RESTING = "resting"


class Health(Struct, frozen=True, kw_only=True):
    """*since* when it is in trouble, and *error*, what came of the last try that failed.

    *until* when nothing is tried, where it rests.
    """

    condition: Condition
    since: datetime | None = None
    error: str = ""
    until: datetime | None = None
    taken_at: datetime | None = None
    failed_at: datetime | None = None


class Outlet:
    """*back* is called when a sink that was down takes something again."""

    def __init__(
        self, sink: Sink, *, now: Now, luck: Luck, back: Callable[[], None]
    ) -> None:
        self._sink = sink
        self._back = back
        self._now = now
        self._luck = luck
        self._slots = anyio.CapacityLimiter(AT_ONCE)
        self._circuit = CLOSED
        self._failing: set[str] = set()
        self._since: datetime | None = None
        self._error = ""
        self._taken_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._took = Histogram(metering.DELIVERY)
        self._failures: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._sink.name

    @property
    def open(self) -> bool:
        """Tell whether the sink is down, so that one message at a time is tried."""
        return self._circuit.open

    @property
    def rest(self) -> float:
        """Tell the seconds for which nothing is to be tried."""
        return self._circuit.rest(self._now().timestamp())

    async def take(
        self,
        message: Message,
        *,
        probe: bool = False,
        may: Callable[[Message], bool] = lambda _: True,
    ) -> bool:
        """Try once; False if the sink is left in peace, so that nothing was tried.

        One that is down takes a *probe* only. *may* is asked when it is the turn of
        *message*, which may have waited for long. Raises ``errors.Rejected`` or
        ``errors.Undelivered``.
        """
        async with self._slots:
            if self.rest or (self.open and not probe) or not may(message):
                return False
            began = anyio.current_time()
            try:
                await self._contained(message)
            except errors.Rejected as error:
                self._refused(message, error)
                raise
            except errors.Undelivered as error:
                self._not_taken(message, error)
                raise
            self._took.observe(anyio.current_time() - began)
        self._taken(message)
        return True

    def close(self) -> None:
        """It is there, or nothing waits by which that could be found out."""
        was_open, self._circuit = self.open, CLOSED
        if was_open:
            self._back()

    def health(self) -> Health:
        rest = self.open or self.rest > 0
        until = self._circuit.until
        trouble = Condition.FAILING if self._failing else Condition.WELL
        return Health(
            condition=Condition.RESTING if rest else trouble,
            since=self._since if self._failing or rest else None,
            error=self._error,
            until=datetime.fromtimestamp(until, self._now().tzinfo) if rest else None,
            taken_at=self._taken_at,
            failed_at=self._failed_at,
        )

    def samples(self) -> Iterator[Sample]:
        yield from metering.delivered(self.name, self._took, self._failures)
        yield from metering.sink_up(self.name, up=not (self.open or self._failing))

    async def _contained(self, message: Message) -> None:
        # Not fail_after, which takes twice as long at every message.
        with anyio.move_on_after(DEADLINE):
            try:
                return await self._sink.deliver(message)
            except TimeoutError:
                pass
            except errors.SinkError:
                raise
            except Exception as error:  # a bug in one sink must not stop the others
                log.exception("delivery.crashed", sink=self.name, id=message.id)
                raise errors.Undelivered("the sink crashed") from error
        raise errors.Undelivered("the sink did not answer in time")

    def _not_taken(self, message: Message, error: errors.Undelivered) -> None:
        self._note(error)
        floor = error.retry_after.total_seconds() if error.retry_after else 0.0
        self._circuit = circuit.failed(
            self._circuit,
            message.line,
            self._now().timestamp(),
            self._luck(),
            floor=floor,
        )
        # One line when a sink begins to fail, one when nothing fails there any more.
        if not self._failing:
            self._since = self._failed_at
            log.warning(
                "sink.failing", sink=self.name, id=message.id, reason=str(error)
            )
        self._failing.add(message.line)

    def _refused(self, message: Message, error: errors.Rejected) -> None:
        # An answer all the same: the other side is there.
        self._note(error)
        self.close()
        self._failing.discard(message.line)

    def _note(self, error: errors.SinkError) -> None:
        self._failed_at, self._error = self._now(), str(error)
        rejected = isinstance(error, errors.Rejected)
        self._failures["rejected" if rejected else "undelivered"] += 1

    def _taken(self, message: Message) -> None:
        self._taken_at = self._now()
        self.close()
        if message.line in self._failing:
            self._failing.discard(message.line)
            if not self._failing:
                log.info("sink.recovered", sink=self.name)

    def given_up(self, lines: Iterable[str]) -> None:
        """Nothing of *lines* fails any more: it will not be tried again."""
        self._failing.difference_update(lines)
