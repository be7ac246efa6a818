"""Reloads that a signal or a caller asked for, and what came of the last one.

Outlives a configuration, as those do who wait for an answer. Several who ask before
one begins share it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, Never

import anyio
from msgspec import structs

from monitor import metering
from monitor.metering import Sample
from monitor.ports import Now
from monitor.watchlist.listing import Listing, difference
from monitor.web.shapes.reload import ReloadData, Result

_SHOWN: Final = 100


class Reloading:
    """Satisfies ``web.api.reload.Reloading`` and ``metering.Meter``.

    Made when the first configuration has been accepted.
    """

    def __init__(self, now: Now) -> None:
        self.last = ReloadData()
        self._now = now
        self._success_at: datetime = now()
        self._listing = Listing()
        self._asked = anyio.Event()
        self._answered = anyio.Event()
        self._next = anyio.Event()

    async def ask(self) -> ReloadData:
        answered = self._next
        self._asked.set()
        await answered.wait()
        return self.last

    async def obey(self, signal: Callable[[], Awaitable[None]]) -> Never:
        """Ask each time *signal* returns, and wait for no answer."""
        while True:
            await signal()
            self._asked.set()

    async def asked(self) -> None:
        """Wait until somebody asks; whoever asks from then on waits for another."""
        await self._asked.wait()
        self._asked = anyio.Event()
        self._answered, self._next = self._next, anyio.Event()

    def samples(self) -> Iterator[Sample]:
        yield from metering.reloads(
            successful=self.last.result is not Result.REFUSED,
            success_at=self._success_at.timestamp(),
        )

    def refused(self, faults: Sequence[str]) -> None:
        self._answer(Result.REFUSED, faults=tuple(faults))

    def replacing(self, changed: Sequence[str], needs_restart: Sequence[str]) -> None:
        """Answer at once: who answers is about to be replaced."""
        self._answer(
            Result.REPLACING,
            changed=tuple(changed),
            needs_restart=tuple(needs_restart),
        )

    def unchanged(
        self, listing: Listing, needs_restart: Sequence[str], in_all: int
    ) -> None:
        self._success_at = self._now()
        self._answer(
            Result.UNCHANGED,
            needs_restart=tuple(needs_restart),
            **self._compared(listing, in_all),
        )

    def watching(self, listing: Listing, in_all: int) -> None:
        """Take note of what is watched: the other configuration may be in effect now.

        *listing* are our own files; *in_all* counts with those of other machines.
        """
        if self.last.result is Result.REPLACING:
            self._success_at = self._now()
            self.last = structs.replace(
                self.last, result=Result.CHANGED, **self._compared(listing, in_all)
            )
        self._listing = listing

    def not_replaced(self, faults: Sequence[str]) -> None:
        """Take back: the other configuration could not be put into effect."""
        self.last = structs.replace(
            self.last, result=Result.REFUSED, faults=tuple(faults)
        )

    def _answer(self, result: Result, **said: object) -> None:
        number = self.last.number + 1
        self.last = structs.replace(ReloadData(number=number, result=result), **said)
        self._answered.set()

    def _compared(self, listing: Listing, in_all: int) -> dict[str, object]:
        found = difference(self._listing, listing)
        return {
            "quarantined": tuple(map(str, listing.faults[:_SHOWN])),
            "watches": len(listing.watches),
            "added": len(found.added),
            "removed": len(found.removed),
            "altered": len(found.changed),
            "in_all": in_all,
        }
