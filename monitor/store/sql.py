"""The store: every call of the loops becomes a job on its connection.

The statements stand beside it, a module for each port, in the subset of SQL that
SQLite and PostgreSQL share.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

import anyio
from sqlalchemy import Connection, select

from monitor.core.decisions import Verdict
from monitor.core.explaining import Facts, Recorded
from monitor.core.hazard import Table
from monitor.core.lists import Claim, Said
from monitor.core.member import Member
from monitor.core.message import Message
from monitor.core.model import InstanceKey
from monitor.core.quiet import Entry
from monitor.core.shards import ALL, shard
from monitor.core.state import Change, State
from monitor.core.subscription import Subscription
from monitor.core.watch import Pause, Watch
from monitor.ports import (
    Account,
    Delivery,
    Found,
    Head,
    Letter,
    Listed,
    Notice,
    Part,
    Reading,
    Shards,
    Shed,
    Shown,
    Standing,
    Tally,
    Unread,
    Wanted,
)
from monitor.store import (
    board,
    bounds,
    calendar,
    housekeeping,
    journal,
    ledger,
    letters,
    listing,
    logbook,
    memory,
    outbox,
    passing,
    register,
    replaying,
    shared,
    shelf,
    tracing,
    wishes,
)
from monitor.store.group import Group, Job, Owned
from monitor.store.rows import Row

HOUSEKEEPING: Final = "housekeeping"
"""Whoever owns the shard of this forgets what is old."""

MEMBERS: Final = 500
"""Members of a group that are read together."""


class SqlStore:
    """Satisfies the ports of the store: ``Memory``, ``Outbox``, ``Ledger`` and the rest."""

    def __init__(self, group: Group, ours: Owned) -> None:
        self.holdings = ours.holdings
        self.membership = ours.membership
        self.away = ours.away
        self._group = group
        self._journal = ours.journal
        self._keeping = anyio.Lock()

    async def answers(self) -> None:
        """Return once the store has answered."""
        await self._group.look(lambda c: c.execute(select(1)))

    async def gets_on(self) -> None:
        """Return once the store has answered, or waits for a database that is away."""
        if not self.away():
            await self.answers()

    async def load(self, key: str) -> State:
        return await self._group.look(lambda c: memory.load(c, key))

    async def commit(self, change: Change) -> bool:
        # Encoded here: what is no MessagePack fails this visit, not the whole commit.
        state = memory.state_row(change.state)
        recorded = [outbox.event_row(message) for message in change.events]
        shards = [state["shard"]]
        return await self._group.do(lambda c: self._commit(c, state, recorded), shards)

    def _commit(
        self, connection: Connection, state: Row, recorded: Sequence[Row]
    ) -> bool:
        if not memory.save(connection, state):
            return False
        self._journal.append(recorded)
        return True

    async def heads(self, source: str, shards: Shards = ALL) -> list[Head]:
        return await self._group.look(lambda c: memory.heads(c, source, shards))

    async def retired(self, keys: Collection[str]) -> list[str]:
        """Name those of *keys* that ended for good."""
        return await self._group.look(lambda c: memory.retired(c, keys))

    async def enrol(self, sink: str) -> None:
        await self._group.do(lambda c: outbox.enrol(c, sink), hurry=True)

    async def unread(self, sink: str, most: int, shards: Shards = ALL) -> Unread:
        return await self._group.look(lambda c: outbox.unread(c, sink, most, shards))

    async def read(
        self,
        sink: str,
        position: int,
        failed: Sequence[Delivery],
        shards: Shards = ALL,
    ) -> None:
        await self._group.do(
            lambda c: outbox.read(c, sink, position, failed, shards), shards
        )

    async def lines(self, sink: str, most: int, shards: Shards = ALL) -> list[Delivery]:
        return await self._group.look(lambda c: outbox.lines(c, sink, most, shards))

    async def waiting(self, sink: str, shards: Shards = ALL) -> dict[str, set[str]]:
        return await self._group.look(lambda c: outbox.waiting(c, sink, shards))

    async def delivered(self, done: Sequence[Delivery]) -> None:
        await self._group.do(lambda c: outbox.remove(c, done), _of(*done))

    async def postpone(self, delivery: Delivery) -> None:
        await self._group.do(lambda c: outbox.postpone(c, delivery), _of(delivery))

    async def bury(
        self, delivery: Delivery, died_at: float, *, fallback: str = ""
    ) -> None:
        await self._group.do(
            lambda c: letters.bury(c, delivery, died_at, fallback), _of(delivery)
        )

    async def hasten(self, sink: str, now: float, shards: Shards = ALL) -> None:
        await self._group.do(lambda c: outbox.hasten(c, sink, now, shards), shards)

    async def put(self, deliveries: Sequence[Delivery]) -> Collection[str]:
        def job(connection: Connection) -> Collection[str]:
            self._journal.mention("deliveries")
            return {*letters.put(connection, deliveries)}

        return await self._group.do(job)

    async def standing(self, sink: str, shards: Shards = ALL) -> Standing:
        return await self._group.look(lambda c: bounds.standing(c, sink, shards))

    async def shed(
        self, sink: str, most: int, now: float, shards: Shards = ALL
    ) -> Shed:
        return await self._group.do(
            lambda c: bounds.shed(c, sink, most, now, shards), shards
        )

    async def pass_on(
        self,
        sink: str,
        fallback: str,
        before: float,
        now: float,
        shards: Shards = ALL,
    ) -> int:
        return await self._group.do(
            lambda c: passing.pass_on(
                c, sink, fallback, shards, before=before, now=now
            ),
            shards,
        )

    async def settle(self, fallbacks: Mapping[str, str]) -> None:
        """Take note of who tells whom in whose stead from now on."""
        await self._group.do(lambda c: passing.settle(c, fallbacks))

    async def letters(
        self,
        most: int,
        after: letters.Place | None = None,
        *,
        sink: str | None = None,
        ids: Collection[str] = (),
    ) -> list[Letter]:
        """Give dead letters, the oldest first; of *ids* alone, where there are any."""
        return await self._group.look(
            lambda c: letters.listed(c, most, after, sink=sink, ids=ids)
        )

    async def drop_letters(
        self, found: Sequence[Letter], reason: str, now: float
    ) -> int:
        return await self._group.do(lambda c: letters.drop(c, found, reason, now))

    async def events_within(
        self, sink: str, within: replaying.Within, after: int, most: int
    ) -> list[tuple[int, Message]]:
        """Give the events that *sink* has read, with their positions."""
        return await self._group.look(
            lambda c: replaying.events_within(c, sink, within, after, most)
        )

    async def notifications_within(
        self,
        sink: str,
        within: replaying.Within,
        after: replaying.Place | None,
        most: int,
    ) -> list[tuple[replaying.Place, Message]]:
        """Give the notifications that *sink* was sent, the oldest first."""
        return await self._group.look(
            lambda c: replaying.notifications_within(c, sink, within, after, most)
        )

    async def alerting(self) -> list[str]:
        return await self._group.look(ledger.alerting)

    async def informed(self) -> list[str]:
        return await self._group.look(ledger.informed)

    async def members(self, keys: Collection[str]) -> list[Member]:
        found: list[Member] = []
        wanted = list(keys)
        for start in range(0, len(wanted), MEMBERS):
            found += await self._members(wanted[start : start + MEMBERS])
        return found

    async def _members(self, keys: Sequence[str]) -> list[Member]:
        return await self._group.look(lambda c: ledger.members(c, keys))

    async def accounts(self, groups: Sequence[str]) -> dict[str, Account]:
        return await self._group.look(lambda c: ledger.accounts(c, groups))

    async def tell(self, notices: Sequence[Notice]) -> None:
        shards = {shard(notice.group) for notice in notices}
        await self._group.do(lambda c: ledger.tell(c, notices), shards)

    async def verdicts(self, group: str, most: int) -> list[Verdict]:
        return await self._group.look(lambda c: ledger.said(c, group, most))

    async def adopt(self, subscriptions: Sequence[Subscription]) -> None:
        """Take note of what the sinks there are ask for from now on."""
        await self._group.do(
            lambda c: tracing.adopt(c, subscriptions, journal.end(c)), hurry=True
        )

    async def subscriptions(self) -> list[Subscription]:
        """Give what each sink asked for, the oldest first."""
        return await self._group.look(tracing.history)

    async def recorded(self, key: str, sequence: int) -> Recorded | None:
        return await self._group.look(lambda c: tracing.recorded(c, key, sequence))

    async def events_of(
        self,
        types: Sequence[str],
        since: datetime,
        *,
        key: str | None = None,
        after: int = 0,
        most: int,
    ) -> list[tuple[int, Message]]:
        """Give events of some types *since* then, in the order of the log."""
        return await self._group.look(
            lambda c: tracing.events_of(
                c, types, since.timestamp(), key=key, after=after, most=most
            ),
        )

    async def facts(
        self, id_: str, sinks: Sequence[str], position: int | None = None
    ) -> list[Facts]:
        """Give what is on record of a message at *sinks*, and at those there were."""
        return await self._group.look(lambda c: tracing.facts(c, id_, sinks, position))

    async def told_under(self, group: str, notification: str) -> Verdict | None:
        return await self._group.look(
            lambda c: tracing.told_under(c, group, notification)
        )

    async def notifications(self, ids: Collection[str]) -> list[Message]:
        """Give those of *ids* that are kept."""
        return await self._group.look(lambda c: tracing.notified(c, ids))

    async def found(self, source: str, after: int = 0) -> Found:
        return await self._group.look(lambda c: register.found(c, source, after))

    async def keys(self, source: str) -> list[InstanceKey]:
        """Name all that discovery found of *source*."""
        return await self._group.look(lambda c: register.keys(c, source))

    async def add(self, watches: Sequence[Watch]) -> None:
        added = [register.row(watch) for watch in watches]
        await self._do_and_mention(
            "watches",
            lambda c: register.add(c, added),
            {shard(watch.key.source) for watch in watches},
        )

    async def drop(self, keys: Sequence[InstanceKey]) -> None:
        await self._do_and_mention(
            "watches",
            lambda c: register.drop(c, keys),
            {shard(key.source) for key in keys},
        )

    async def _do_and_mention(
        self, topic: str, job: Job[None], shards: Collection[int] = ()
    ) -> None:
        def mentioned(connection: Connection) -> None:
            job(connection)
            self._journal.mention(topic)

        await self._group.do(mentioned, shards)

    async def over(self, source: str) -> list[InstanceKey]:
        return await self._group.look(lambda c: register.over(c, source))

    async def pinned_up(self) -> board.Place:
        return await self._group.look(board.end)

    async def hint(self, job_instance_id: int, now: datetime) -> None:
        """Let all daemons know that something may have happened there."""
        moment = now.timestamp()
        await self._group.do(lambda c: board.hint(c, job_instance_id, moment))

    async def hinted(self, after: int) -> list[tuple[int, int]]:
        return await self._group.look(lambda c: board.hinted(c, after))

    async def show(self, shown: Shown) -> None:
        """Let all daemons see what a page showed."""
        await self._group.do(lambda c: board.show(c, shown))

    async def shown(self, after: int) -> list[tuple[int, Shown]]:
        return await self._group.look(lambda c: board.shown(c, after))

    async def newest(self, source: str, most: int) -> list[str]:
        return await self._group.look(lambda c: shelf.newest(c, source, most))

    async def learnt(self, keys: Collection[str]) -> dict[str, Table]:
        return await self._group.look(lambda c: shelf.learnt(c, keys))

    async def keep(
        self, source: str, learnt: Mapping[str, Table], known: Mapping[str, Table]
    ) -> dict[str, Table]:
        # In one transaction, two of them could lock their rows in two orders.
        async with self._keeping:
            return await self._group.do(lambda c: shelf.keep(c, source, learnt, known))

    async def listed(
        self, wanted: Wanted, after: listing.Place | None, most: int
    ) -> list[tuple[listing.Place, Listed]]:
        """Give instances with their places, in the order of *wanted*."""
        return await self._group.look(lambda c: listing.listed(c, wanted, after, most))

    async def tally(self) -> list[Tally]:
        return await self._group.look(listing.tally)

    async def logged(
        self, wanted: Reading, after: int | None, most: int
    ) -> list[tuple[int, Message]]:
        """Give events with their positions, in the order of *wanted*."""
        return await self._group.look(lambda c: logbook.read(c, wanted, after, most))

    @property
    def position(self) -> int:
        """The end of the log."""
        return self._journal.position

    async def end(self) -> int:
        """Say where the log ends, whoever wrote it."""
        end = await self._group.look(journal.end)
        self._journal.reached(end)
        return end

    async def added(self) -> list[Watch]:
        return await self._group.do(wishes.watches, hurry=True)

    async def keep_watch(self, watch: Watch) -> None:
        row = wishes.row(watch)
        await self._do_and_mention("wishes", lambda c: wishes.keep_watch(c, row))

    async def drop_watches(self, keys: Sequence[InstanceKey]) -> None:
        await self._do_and_mention("wishes", lambda c: wishes.drop_watches(c, keys))

    async def paused(self) -> list[Pause]:
        return await self._group.do(wishes.paused, hurry=True)

    async def keep_pause(self, pause: Pause) -> None:
        row = wishes.row(pause)
        await self._do_and_mention("wishes", lambda c: wishes.keep_pause(c, row))

    async def drop_pauses(self, keys: Sequence[InstanceKey]) -> None:
        await self._do_and_mention("wishes", lambda c: wishes.drop_pauses(c, keys))

    async def claims(self) -> list[Claim]:
        return await self._group.look(shared.claims)

    async def publish(
        self, name: str, node: str, said: Said, parts: Sequence[Part]
    ) -> None:
        await self._do_and_mention(
            "lists", lambda c: shared.publish(c, name, node, said, parts)
        )

    async def withdraw(self, node: str, names: Collection[str]) -> None:
        await self._do_and_mention("lists", lambda c: shared.withdraw(c, node, names))

    async def attest(self, node: str) -> None:
        await self._group.do(lambda c: shared.attest(c, node))

    async def forget_lists(self, age: float) -> int:
        def job(connection: Connection) -> int:
            gone = shared.forget(connection, age)
            if gone:
                self._journal.mention("lists")
            return gone

        return await self._group.do(job, [shard(HOUSEKEEPING)])

    async def parts_of(self, claim: Claim) -> list[str]:
        return await self._group.look(
            lambda c: shared.digests(c, claim.name, claim.node)
        )

    async def bodies(self, claim: Claim, digests: Collection[str]) -> list[Part]:
        return await self._group.look(
            lambda c: shared.bodies(c, claim.name, claim.node, digests)
        )

    async def said(self) -> list[Entry]:
        return await self._group.look(calendar.said)

    async def say(self, entry: Entry) -> None:
        await self._do_and_mention("quiet", lambda c: calendar.say(c, entry))

    async def unsay(self, entry: Entry) -> None:
        await self._do_and_mention("quiet", lambda c: calendar.unsay(c, entry))

    async def forget(self, before: datetime, readers: Sequence[str]) -> int:
        """Delete a slice of what is older than *before*; tell how many rows went.

        Events that one of *readers*, the sinks there are, has yet to read are kept,
        and so is what waits for one of them. Of an instance that nobody watches its
        sequence is kept for ever, so that no event id is ever used for two things.
        """
        moment = before.timestamp()
        shards = [shard(HOUSEKEEPING)]
        return await self._group.do(
            lambda c: housekeeping.forget(c, moment, readers), shards
        )


def _of(*deliveries: Delivery) -> set[int]:
    return {shard(delivery.message.key) for delivery in deliveries}
