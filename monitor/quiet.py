"""What people said about when to be quiet, as it is at the moment.

What stands in the configuration comes and goes with it; what people say at run
time is kept in the store until it is over, and for as long as things are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

import structlog
from msgspec import structs

from monitor.core import quiet
from monitor.core.quiet import Ack, Entry, Maintenance, Silence
from monitor.core.telling import Acked, Obstacle
from monitor.ports import Calendar, Now

MOST: Final = 10_000
"""Entries of a kind that people may give: each alert is held against all of them."""

log = structlog.get_logger()


class Quiet:
    """Satisfies ``ports.Quiet``; *changed* hears that something is to be looked at."""

    def __init__(
        self,
        calendar: Calendar,
        configured: Sequence[Silence | Maintenance] = (),
        *,
        now: Now,
        changed: Callable[[], None],
    ) -> None:
        self._calendar = calendar
        self._configured = configured
        self._now = now
        self._changed = changed
        self._silences: dict[str, Silence] = {}
        self._maintenance: dict[str, Maintenance] = {}
        self._acks: dict[str, Ack] = {}
        self._rules = quiet.Quiet()

    async def load(self) -> None:
        """Take up what is configured, and what people said before the start."""
        for entry in (*await self._calendar.said(), *self._configured):
            self._take(entry)
        self._rule()

    def _take(self, entry: Entry) -> None:
        match entry:
            case Silence():
                self._silences[entry.id] = entry
            case Maintenance():
                self._maintenance[entry.id] = entry
            case Ack():
                self._acks[entry.id] = entry

    def _rule(self) -> None:
        """Leave out what is over, so that the rest is looked through quickly."""
        now = self._now()
        self._rules = quiet.Quiet(
            silences=[s for s in self._silences.values() if s.ends_at > now],
            maintenance=[
                m
                for m in self._maintenance.values()
                if m.ends_at is None or m.ends_at > now
            ],
        )

    def muting(self, traits: Mapping[str, str], now: datetime) -> Obstacle | None:
        return self._rules.muting(traits, now)

    def acked(self, group: str, now: datetime) -> Acked | None:
        ack = self._acks.get(group)
        return None if ack is None else ack.now(now)

    def cared_for(self) -> list[str]:
        return list(self._acks)

    async def over(self, group: str) -> None:
        ack = self._acks.pop(group, None)
        if ack is not None:
            await self._calendar.unsay(ack)
            log.info("ack.over", group=group, author=ack.author)

    def silences(self) -> list[Silence]:
        return list(self._silences.values())

    def maintenance(self) -> list[Maintenance]:
        return list(self._maintenance.values())

    def acks(self) -> list[Ack]:
        return list(self._acks.values())

    def full(self, entry: Entry) -> bool:
        """Tell whether there is no room for *entry* among those that are not over."""
        now, known = self._now(), self._of_kind(entry)
        return (
            entry.id not in known
            and sum(
                each.ends_at is None or each.ends_at > now for each in known.values()
            )
            >= MOST
        )

    def _of_kind(self, entry: Entry) -> Mapping[str, Entry]:
        match entry:
            case Silence():
                return self._silences
            case Maintenance():
                return self._maintenance
            case Ack():
                return self._acks

    async def say(self, entry: Entry) -> None:
        """Keep what somebody says, from now on."""
        await self._calendar.say(entry)
        self._take(entry)
        self._rule()
        self._changed()
        log.info("quiet.said", kind=quiet.kind(entry), id=entry.id)

    async def expire(self, entry: Silence | Maintenance) -> None:
        """End *entry* now; it is still shown, and kept for as long as things are."""
        await self.say(structs.replace(entry, ends_at=self._now()))

    async def unsay(self, ack: Ack) -> None:
        """Nobody cares for it any more: it is told of as before."""
        self._acks.pop(ack.group, None)
        await self._calendar.unsay(ack)
        self._changed()
