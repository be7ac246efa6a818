"""The watch lists as they are by now: read, compared with before, and handed on.

Ours alone, or joined with those of other machines where there may be others.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing

import anyio
import anyio.to_thread
import structlog

from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing, difference
from monitor.watchlist.union import Union

log = structlog.get_logger()


class Lists:
    """*local* is what our own files say, *whole* what those of all machines say.

    *watch* is given both, one pair after the other.
    """

    def __init__(
        self,
        files: Files,
        union: Union | None,
        watch: Callable[[Listing, Listing], Awaitable[None]],
    ) -> None:
        self.local = Listing()
        self.whole = Listing()
        self._files = files
        self._union = union
        self._watch = watch
        self._turn = anyio.Lock()

    async def follow(self) -> None:
        """Read whenever something stirs among our files."""
        async with aclosing(self._files.changes()) as listings:
            async for _ in listings:
                await self.read()

    async def follow_others(self) -> None:
        """Look now and then, should news be missed, or something be put off."""
        while self._union is not None:
            await anyio.sleep(self._union.pause())
            await self.read()

    async def read(self) -> None:
        """Read, and have it watched if anything is new."""
        async with self._turn:
            local, whole = await self._read()
            if local is not self.local or whole is not self.whole:
                await self._hand_on(local, whole)

    async def read_anew(self, heard: Callable[[Listing, Listing], None]) -> None:
        """Read, let it be *heard*, and have it watched in any case."""
        async with self._turn:
            local, whole = await self._read()
            heard(local, whole)
            await self._hand_on(local, whole)

    async def _read(self) -> tuple[Listing, Listing]:
        if self._union is None:
            local = await anyio.to_thread.run_sync(self._files.read)
            return local, local
        whole = await self._union.listing()
        return self._union.local, whole

    async def _hand_on(self, local: Listing, whole: Listing) -> None:
        self._report(local, whole)
        self.local, self.whole = local, whole
        await self._watch(local, whole)

    def _report(self, local: Listing, whole: Listing) -> None:
        known = set(self.local.faults)
        for fault in local.faults:
            if fault not in known:
                log.warning("watchlist.quarantined", fault=str(fault))
        changed = difference(self.whole, whole)
        if self.whole.watches and any(
            (changed.added, changed.removed, changed.changed)
        ):
            log.info(
                "watchlist.changed",
                added=len(changed.added),
                removed=len(changed.removed),
                changed=len(changed.changed),
                quarantined=len(whole.faults),
            )
