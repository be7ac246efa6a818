"""What people said about when to be quiet, as it is at the moment.

What stands in the configuration comes and goes with it; what people say at run
time is kept in the store until it is over, and for as long as things are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import nlargest
from typing import Final, TypeVar

import structlog
from msgspec import structs

from monitor.core import quiet
from monitor.core.quiet import Ack, Entry, Maintenance, Silence
from monitor.core.telling import Acked, Obstacle
from monitor.ports import Calendar, Now

MOST: Final = 10_000
"""Entries of a kind that people may give: each alert is held against all of them."""

SHOWN: Final = timedelta(days=1)
"""How long what is over is still shown: the latest ``MOST`` of a kind."""

E = TypeVar("E", bound=Entry)

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

    async def read_again(self) -> None:
        """Somebody said something elsewhere: take up what holds by now."""
        said, before = await self._calendar.said(), self._known()
        for known in (self._silences, self._maintenance, self._acks):
            known.clear()
        for entry in (*said, *self._configured):
            self._take(entry)
        self._rule()
        if self._known() != before:
            self._changed()

    def _known(
        self,
    ) -> tuple[dict[str, Silence], dict[str, Maintenance], dict[str, Ack]]:
        return {**self._silences}, {**self._maintenance}, {**self._acks}

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
        self._forget(now)
        self._rules = quiet.Quiet(
            silences=[s for s in self._silences.values() if s.ends_at > now],
            maintenance=[
                m
                for m in self._maintenance.values()
                if m.ends_at is None or m.ends_at > now
            ],
        )

    def _forget(self, now: datetime) -> None:
        _forget(self._silences, now)
        _forget(self._maintenance, now)
        _forget(self._acks, now)

    def muting(self, traits: Mapping[str, str], now: datetime) -> Obstacle | None:
        return self._rules.muting(traits, now)

    def acked(self, group: str, now: datetime) -> Acked | None:
        ack = self._acks.get(group)
        return None if ack is None else ack.now(now)

    def cared_for(self) -> list[str]:
        return list(self._acks)

    async def over(self, group: str) -> None:
        ack = self._acks.get(group)
        if ack is not None:
            await self._calendar.unsay(ack)
            self._drop(ack)
            log.info("ack.over", group=group, author=ack.author)

    def _drop(self, ack: Ack) -> None:
        # Somebody may have acknowledged it again while the store was busy.
        if self._acks.get(ack.group) is ack:
            del self._acks[ack.group]

    def silences(self) -> list[Silence]:
        self._forget(self._now())
        return list(self._silences.values())

    def maintenance(self) -> list[Maintenance]:
        self._forget(self._now())
        return list(self._maintenance.values())

    def acks(self) -> list[Ack]:
        self._forget(self._now())
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
        author = entry.author
        log.info("quiet.said", kind=quiet.kind(entry), id=entry.id, author=author)

    async def expire(self, entry: Silence | Maintenance) -> Silence | Maintenance:
        """End *entry* now, unless it is over; it is still shown for a while."""
        now = self._now()
        if entry.ends_at is not None and entry.ends_at <= now:
            return entry
        starts_at = entry.starts_at
        ended = structs.replace(
            entry,
            ends_at=now,
            starts_at=starts_at if starts_at is None else min(starts_at, now),
        )
        await self._calendar.say(ended)
        self._take(ended)
        self._rule()
        self._changed()
        log.info("quiet.ended", kind=quiet.kind(entry), id=entry.id)
        return ended

    async def unsay(self, ack: Ack) -> None:
        """Nobody cares for it any more: it is told of as before."""
        await self._calendar.unsay(ack)
        self._drop(ack)
        self._changed()
        log.info("quiet.ended", kind=quiet.kind(ack), id=ack.id)


def _forget(known: dict[str, E], now: datetime) -> None:
    over = [
        (entry.ends_at, id_)
        for id_, entry in known.items()
        if entry.ends_at is not None and entry.ends_at <= now
    ]
    shown = {id_ for ended, id_ in nlargest(MOST, over) if ended >= now - SHOWN}
    for _, id_ in over:
        if id_ not in shown:
            del known[id_]
