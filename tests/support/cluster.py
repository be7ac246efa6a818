"""Daemons in miniature that share a real database, on the clock of the tests.

Their rounds take no time there; the leases are on the database's clock, so that they
run out where a test says so.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from sqlalchemy import Engine, text

from monitor.core.cluster import Report, View
from monitor.core.shards import ALL
from monitor.holdings import Holdings
from monitor.ports import Luck
from monitor.store import lease, postgres
from monitor.store.group import Group, Owned
from monitor.store.journal import Journal
from monitor.store.membership import Membership
from monitor.store.sql import SqlStore
from tests.support import clock
from tests.support.stores import inline

ROUND: Final = lease.RENEW + 0.01


class Attentive:
    """Satisfies ``membership.Member``: remembers what it hears.

    While *busy* is there, letting go takes until that is set.
    """

    def __init__(self) -> None:
        self.view = View()
        self.gained: list[frozenset[int]] = []
        self.left: list[frozenset[int]] = []
        self.topics: list[frozenset[str]] = []
        self.busy: anyio.Event | None = None

    def report(self) -> Report:
        return Report(version="1.2.3", watches=7)

    def met(self, view: View) -> None:
        self.view = view

    async def gain(self, gained: frozenset[int]) -> None:
        self.gained.append(gained)

    async def let_go(self, left: frozenset[int]) -> None:
        if self.busy is not None:
            await self.busy.wait()
        self.left.append(left)

    async def hear(self, topics: frozenset[str]) -> None:
        self.topics.append(topics)


class Node:
    """One daemon: what it owns, its store, and who works there.

    *latency*: seconds that each statement of its membership takes.
    """

    def __init__(self, engine: Engine, luck: Luck) -> None:
        self.latency = 0.0
        self._engine = engine
        self.me = lease.name()
        self.holdings = Holdings(())
        self.member = Attentive()
        outage, journal = postgres.Outage(), Journal(0)
        self.database = postgres.Database(
            engine, self.me, self.holdings, outage, patience=1.0
        )
        self.membership = Membership(
            postgres.Meeting(engine, self.me, outage),
            self.me,
            self.holdings,
            self._run,
            reached=journal.reached,
            luck=luck,
        )
        self.group = Group(self.database.transact, journal, inline)
        ours = Owned(
            self.database.transact,
            journal,
            self.holdings,
            membership=self.membership,
        )
        self.store = SqlStore(self.group, ours)

    async def _run(self, job: Callable[[], Any]) -> Any:
        with anyio.CancelScope(shield=True):  # a thread cannot be cancelled
            await anyio.sleep(self.latency)
        return job()

    @property
    def owned(self) -> frozenset[int]:
        return self.holdings.active

    def is_heard_of_no_more(self) -> None:
        """Let so much time pass that its leases have run out."""
        with self._engine.begin() as connection:
            mine = {"me": self.me}
            over = "UPDATE leases SET expires_at = 1 WHERE owner = :me"
            connection.execute(text(over), mine)
            unseen = "UPDATE nodes SET seen_at = seen_at - 60 WHERE name = :me"
            connection.execute(text(unseen), mine)


async def joined(engine: Engine, luck: Luck = clock.middling) -> Node:
    node = Node(engine, luck)
    await node.membership.join()
    return node


@asynccontextmanager
async def living(*nodes: Node, attended: bool = True) -> AsyncIterator[None]:
    """Let these work as long as the block lasts, and none of the others."""
    async with anyio.create_task_group() as tasks:
        for node in nodes:
            tasks.start_soon(node.group.run)
            tasks.start_soon(_live, node, attended)
        yield
        tasks.cancel_scope.cancel()


async def _live(node: Node, attended: bool) -> None:  # noqa: FBT001 - start_soon
    if not attended:
        await node.membership.run()
    async with node.membership.attended(node.member):
        await node.membership.run()


async def live(seconds: float, *nodes: Node, attended: bool = True) -> None:
    async with living(*nodes, attended=attended):
        await anyio.sleep(seconds)


def owners(engine: Engine) -> dict[str, set[int]]:
    """Say who owns which shards, as it is in the database."""
    with engine.connect() as connection:
        found: dict[str, set[int]] = {}
        for held in lease.holders(connection):
            if held.alive:
                found.setdefault(held.owner, set()).add(held.shard)
    return found


def shared_out(*nodes: Node) -> bool:
    """Tell whether each shard is owned by one of *nodes*."""
    return sorted(ALL) == sorted(shard for node in nodes for shard in node.owned)
