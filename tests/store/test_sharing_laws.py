"""Whatever several daemons do to one database, and whenever each of them falters.

The statements are the real ones; a lease runs out where a step says so.
"""

from collections.abc import Collection, Iterator
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, Engine, make_url, select, text

from monitor import errors
from monitor.core import shards
from monitor.core.cluster import Report
from monitor.core.shards import shard
from monitor.holdings import Holdings
from monitor.ports import Unread
from monitor.store import lease, memory, outbox, postgres
from monitor.store.journal import Journal
from monitor.store.schema import cursors, events, states
from tests.store.changes import a_change, an_event

SINK: Final = "journal"
KEYS: Final = tuple(f"prod/biz/2/{number}" for number in (1, 2, 3))
DAEMONS: Final = 2

which = st.integers(0, DAEMONS - 1)
keys = st.sampled_from(KEYS)


class Daemon:
    """What one of them believes: what it owns, how far its keys are, what it sends."""

    def __init__(self, engine: Engine) -> None:
        self.me = lease.name()
        self.holdings = Holdings(())
        outage = postgres.Outage()
        self.meeting = postgres.Meeting(engine, self.me, outage)
        self._database = postgres.Database(engine, self.me, self.holdings, outage)
        self.journal = Journal(0)
        self.versions: dict[str, int] = {}
        self.sending: tuple[Unread, frozenset[int]] | None = None

    def renew(self) -> list[int]:
        """Say what is free; raises errors.LeaseLost where it was taken over."""
        held = self.holdings.epochs
        seen = self.meeting.renew(held, Report(), draining=False)
        if seen.kept != held:
            raise errors.LeaseLost
        return [*shards.claims(seen.free(), len(held), seen.view.quota)]

    def write(self, *wanted: str) -> bool:
        """Record the next change of each; tell whether none was another's by then."""
        kept: list[bool] = []

        def work(connection: Connection) -> None:
            kept.clear()
            self.journal.begin()
            for key in wanted:
                change = a_change(self.versions[key] + 1, key)
                kept.append(memory.save(connection, memory.state_row(change.state)))
                if kept[-1]:
                    self.journal.append([outbox.event_row(e) for e in change.events])
            self.journal.write(connection)

        self._database.transact(work, {shard(key) for key in wanted})
        return all(kept)

    def finish_sending(self) -> None:
        assert self.sending is not None
        unread, mine = self.sending
        upto = unread.upto
        if upto is not None:
            self._database.transact(
                lambda c: outbox.read(c, SINK, upto, (), mine), mine
            )
        self.sending = None


class Sharing(RuleBasedStateMachine):
    """*recorded* is what was acknowledged, *sent* what the sink has taken."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self.daemons = [Daemon(engine) for _ in range(DAEMONS)]
        self.recorded = dict.fromkeys(KEYS, 0)
        self.sent: list[str] = []

    @initialize()
    def begin(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("TRUNCATE states, events, cursors, nodes"))
            connection.execute(text("UPDATE log SET position = 0"))
            free = "UPDATE leases SET owner = '', expires_at = 0"
            connection.execute(text(free))
            outbox.enrol(connection, SINK)
        self.take_what_is_free(0)

    def _of(self, number: int, wanted: Collection[int]) -> tuple[int, frozenset[int]]:
        """Choose who believes to own one of *wanted*: *number*, if it does."""
        number = number if self._owned(number, wanted) else 1 - number
        return number, self._owned(number, wanted)

    def _owned(self, number: int, wanted: Collection[int]) -> frozenset[int]:
        return self.daemons[number].holdings.active & {*wanted}

    def _begin_anew(self, number: int) -> None:
        self.daemons[number] = Daemon(self._engine)

    @rule(number=which)
    def take_what_is_free(self, number: int) -> None:
        daemon = self.daemons[number]
        try:
            wanted = daemon.renew()
        except errors.LeaseLost:
            daemon.meeting.leave(daemon.holdings.epochs)
            self._begin_anew(number)
            return
        taken = daemon.meeting.claim(wanted)
        daemon.holdings.take(taken)
        with self._engine.connect() as connection:
            for key in (key for key in KEYS if shard(key) in taken):
                daemon.versions[key] = memory.load(connection, key).version

    @rule(number=which, most=st.integers(1, 64))
    def give_some_up(self, number: int, most: int) -> None:
        daemon = self.daemons[number]
        if daemon.sending is None:  # else that is waited for
            left = [*daemon.holdings.epochs][:most]
            daemon.holdings.leave(left)
            daemon.meeting.release(daemon.holdings.drop(left))

    @rule(number=which)
    def fall_asleep_for_too_long(self, number: int) -> None:
        over = "UPDATE leases SET expires_at = 1 WHERE owner = :me"
        unseen = "UPDATE nodes SET seen_at = 1 WHERE name = :me"
        with self._engine.begin() as connection:
            for statement in (over, unseen):
                connection.execute(text(statement), {"me": self.daemons[number].me})

    @rule(number=which)
    def be_replaced(self, number: int) -> None:
        self.fall_asleep_for_too_long(number)
        self.take_what_is_free(1 - number)

    @rule(number=which)
    def be_killed(self, number: int) -> None:
        self._begin_anew(number)

    @rule(number=which, wanted=st.sets(keys, min_size=1, max_size=2))
    def record(self, number: int, wanted: Collection[str]) -> None:
        number, owned = self._of(number, [shard(key) for key in wanted])
        daemon = self.daemons[number]
        mine = sorted(key for key in wanted if shard(key) in owned)
        if not mine:
            return
        try:
            alone = daemon.write(*mine)
        except errors.LeaseLost:
            self._begin_anew(number)
            return
        owns = self._owns(daemon, mine)
        if not alone:  # so it was another's by then, and nothing was written
            assert not owns, "whoever holds the lease is the only one who writes"
            return
        assert owns
        for key in mine:
            self.recorded[key] += 1
            daemon.versions[key] += 1

    def _owns(self, daemon: Daemon, mine: Collection[str]) -> bool:
        with self._engine.connect() as connection:
            held = {each.shard: each for each in lease.holders(connection)}
        found = {(held[n].owner, n, held[n].epoch) for n in map(shard, mine)}
        epochs = daemon.holdings.epochs
        return found == {(daemon.me, n, epochs[n]) for n in map(shard, mine)}

    @rule(number=which, most=st.integers(1, 4))
    def send(self, number: int, most: int) -> None:
        number, mine = self._of(number, shards.ALL)
        daemon = self.daemons[number]
        if daemon.sending is None and mine:
            with self._engine.connect() as connection:
                unread = outbox.unread(connection, SINK, most, mine)
            self.sent += [message.id for _, message in unread.events]
            daemon.sending = unread, mine

    @rule(number=which)
    def remember_what_was_sent(self, number: int) -> None:
        number = number if self.daemons[number].sending else 1 - number
        daemon = self.daemons[number]
        if daemon.sending is not None:
            try:
                daemon.finish_sending()
            except errors.LeaseLost:
                self._begin_anew(number)

    @invariant()
    def what_was_acknowledged_is_there_once_and_nothing_else(self) -> None:
        with self._engine.connect() as connection:
            known = connection.execute(select(states.c.key, states.c.version)).all()
            logged = select(events.c.position, events.c.key, events.c.sequence)
            found = connection.execute(logged.order_by(events.c.position)).all()
        assert {key: n for key, n in self.recorded.items() if n} == {
            row.key: row.version for row in known
        }
        assert [row.position for row in found] == [*range(1, len(found) + 1)]
        for key, count in self.recorded.items():
            mine = [row.sequence for row in found if row.key == key]
            assert mine == [*range(1, count + 1)]

    @invariant()
    def no_cursor_has_passed_what_was_not_sent(self) -> None:
        read = select(events.c.key, events.c.sequence).where(
            events.c.shard == cursors.c.shard, events.c.position <= cursors.c.position
        )
        with self._engine.connect() as connection:
            passed = connection.execute(read).all()
        ids = {an_event(row.sequence, row.key).id for row in passed}
        assert ids <= {*self.sent}

    @invariant()
    def what_was_sent_was_so_in_order(self) -> None:
        for key in KEYS:
            mine = [id_ for id_ in self.sent if id_.startswith(f"{key}#")]
            first = [*dict.fromkeys(mine)]
            assert first == [f"{key}#{n}" for n in range(1, len(first) + 1)]


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    with postgres.connected(make_url(database)) as made:
        yield made


def test_one_writes_at_a_time_and_nothing_is_lost_doubled_or_skipped(
    engine: Engine,
) -> None:
    class Here(Sharing):
        def __init__(self) -> None:
            super().__init__(engine)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=10,
            stateful_step_count=30,
            deadline=None,
            # Made smaller, a failure would take minutes to be shown.
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
        ),
    )
