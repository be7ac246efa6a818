"""Several daemons on one real database: who gets what, and who may write."""

from collections.abc import Iterator
from random import Random

import anyio
import pytest
from sqlalchemy import Connection, Engine, insert, make_url, text
from sqlalchemy.exc import IntegrityError

from monitor import errors
from monitor.core.cluster import Report
from monitor.core.model import InstanceKey
from monitor.core.shards import ALL, SETTLED, SHARDS, shard
from monitor.core.state import State
from monitor.core.watch import Pause, Place, Watch
from monitor.holdings import Holdings
from monitor.store import outbox, postgres, rows
from monitor.store.lease import RENEW, Epochs
from monitor.store.membership import SURE, Membership
from monitor.store.roll import Seen
from monitor.store.schema import events
from tests.store.changes import KEY, NOW, a_change, remember
from tests.support import clock
from tests.support.cluster import (
    ROUND,
    Node,
    joined,
    live,
    living,
    owners,
    shared_out,
)
from tests.support.stores import inline

pytestmark = pytest.mark.looptime

HALF = SHARDS // 2
GIVING_UP_HALF = SETTLED + 5 * RENEW


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    with postgres.connected(make_url(database)) as made:
        yield made


async def two(engine: Engine) -> tuple[Node, Node]:
    """Let two share it evenly."""
    one, other = await joined(engine), await joined(engine)
    await live(GIVING_UP_HALF, one, other)
    assert len(one.owned) == len(other.owned) == HALF
    return one, other


# Who gets what.


async def test_the_first_one_takes_everything_at_once(engine: Engine) -> None:
    one = await joined(engine)

    assert one.owned == ALL
    assert owners(engine) == {one.me: {*ALL}}


async def test_two_that_start_at_once_share_evenly_within_twenty_seconds(
    engine: Engine,
) -> None:
    one, other = await two(engine)

    assert shared_out(one, other)
    assert owners(engine) == {node.me: {*node.owned} for node in (one, other)}


async def test_nothing_moves_before_it_is_settled_and_then_eight_a_round(
    engine: Engine,
) -> None:
    one, other = await joined(engine), await joined(engine)
    async with living(one, other):
        await anyio.sleep(SETTLED - 0.1)
        before = len(one.owned)
        await anyio.sleep(0.2)
        after = len(one.owned)

    assert (before, after) == (SHARDS, SHARDS - 8)


async def test_a_third_one_gets_its_share_and_nobody_else_loses_more_than_that(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    before = one.owned, other.owned
    third = await joined(engine)
    await live(SETTLED + 3 * RENEW, one, other, third)

    assert shared_out(one, other, third)
    assert sorted(map(len, (one.owned, other.owned, third.owned))) == [21, 21, 22]
    assert one.owned < before[0]
    assert other.owned < before[1]


async def test_of_nine_nobody_is_left_out(engine: Engine) -> None:
    nine = [await joined(engine, Random(seed).random) for seed in range(9)]
    await live(90, *nine)

    assert shared_out(*nine)
    assert sorted(len(each.owned) for each in nine) == [7] * 8 + [8]


async def test_who_is_still_starting_is_given_nothing(engine: Engine) -> None:
    one, late = await joined(engine), await joined(engine)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(late.membership.run)
        async with living(one):
            await anyio.sleep(60)
            await handed_over(one)
        tasks.cancel_scope.cancel()

    assert one.owned == ALL
    assert one.member.left == []


async def test_a_report_that_nobody_here_can_read_says_nothing(engine: Engine) -> None:
    one, other = await two(engine)
    odd = {"body": rows.encode({"version": "9.0.0", "watches": "many"})}
    with engine.begin() as connection:
        connection.execute(text("UPDATE nodes SET body = :body"), odd)
    async with living(one):
        await anyio.sleep(ROUND)
        view = one.membership.view

    assert {node.name: node.report.version for node in view.nodes} == {
        one.me: "1.2.3",
        other.me: "",
    }


async def test_once_it_is_shared_out_nothing_moves_any_more(engine: Engine) -> None:
    one, other = await two(engine)
    moved = [*one.member.left, *other.member.gained]
    before = one.owned, other.owned
    await live(120, one, other)

    assert (one.owned, other.owned) == before
    assert [*one.member.left, *other.member.gained] == moved


async def test_what_a_clean_leaver_had_is_taken_in_one_round(engine: Engine) -> None:
    one, other = await two(engine)
    await other.membership.leave()
    await live(ROUND, one)

    assert one.owned == ALL
    assert one.membership.view.living == 1


async def test_who_is_never_heard_of_again_is_replaced_once_its_lease_has_run_out(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    await live(3 * ROUND, one)
    before = len(one.owned)
    other.is_heard_of_no_more()
    await live(ROUND, one)

    assert before == HALF
    assert one.owned == ALL


async def test_what_is_left_to_somebody_who_does_not_come_is_taken_a_round_later(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    await live(ROUND, one, other)
    third = await joined(engine)
    await live(ROUND, third)  # and it dies before it takes anything
    other.is_heard_of_no_more()
    async with living(one):
        await anyio.sleep(0.1)
        in_one_round = len(one.owned)
        await anyio.sleep(ROUND)

    assert in_one_round == HALF
    assert one.owned == ALL


async def test_who_works_hears_what_was_gained_and_what_is_to_be_left(
    engine: Engine,
) -> None:
    one, other = await two(engine)

    assert frozenset().union(*one.member.left) == other.owned
    assert frozenset().union(*other.member.gained) == other.owned
    assert one.member.view.living == other.member.view.living == 2
    [report, _] = [node.report for node in one.member.view.nodes]
    assert (report.version, report.watches) == ("1.2.3", 7)


async def test_a_shard_is_nobody_else_s_until_nothing_is_under_way_there(
    engine: Engine,
) -> None:
    one, other = await joined(engine), await joined(engine)
    busy = one.member.busy = anyio.Event()
    async with living(one, other):
        await anyio.sleep(SETTLED + 2 * ROUND)
        begun, free = len(one.owned), owners(engine)
        busy.set()
        await anyio.sleep(2 * ROUND)

    assert begun < SHARDS
    assert free == {one.me: {*ALL}}
    assert len(other.owned) > 0


async def test_while_nobody_attends_nothing_is_claimed_or_given_up(
    engine: Engine,
) -> None:
    one, other, leaver = [await joined(engine) for _ in range(3)]
    await live(60, one, other, attended=False)
    kept = one.owned, other.owned
    await one.membership.leave()
    await live(60, other, leaver, attended=False)

    assert kept == (ALL, frozenset())
    assert owners(engine) == {}


async def test_what_nobody_can_let_go_of_stays(engine: Engine) -> None:
    one, other = await joined(engine), await joined(engine)
    await live(ROUND, other)
    async with anyio.create_task_group() as tasks:
        async with one.membership.attended(one.member):
            one.member.busy = anyio.Event()
            tasks.start_soon(one.membership.run)
            await anyio.sleep(SETTLED + 0.1)
            # One lot is waited for, and another is behind it.
            tasks.start_soon(_set, one.member.busy)
            waiting = SHARDS - len(one.owned)
        await anyio.sleep(ROUND)
        tasks.cancel_scope.cancel()

    given_up = frozenset[int]().union(*one.member.left)
    assert waiting == 16
    assert one.owned == ALL - given_up
    assert owners(engine) == {one.me: {*one.owned}}


async def test_whoever_attends_next_knows_what_was_still_being_claimed(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    await other.membership.leave()
    one.latency = 9.0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.membership.run)
        async with one.membership.attended(one.member):
            await anyio.sleep(RENEW + one.latency + 1)
            before = len(one.owned)
        known = one.owned
        await anyio.sleep(60)
        tasks.cancel_scope.cancel()

    assert before == HALF
    assert known == one.owned == ALL


async def test_whoever_attends_next_knows_what_stays_after_a_slow_release(
    engine: Engine,
) -> None:
    one, other = await joined(engine), await joined(engine)
    await live(ROUND, other)
    busy = one.member.busy = anyio.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.membership.run)
        async with one.membership.attended(one.member):
            await anyio.sleep(SETTLED + 0.1)
            waiting = SHARDS - len(one.owned)
            one.latency = 9.0
            busy.set()
            await anyio.sleep(0.1)
        known = one.owned
        await anyio.sleep(60)
        tasks.cancel_scope.cancel()

    [given_up] = one.member.left
    assert waiting == 2 * len(given_up) == 16
    assert known == one.owned == ALL - given_up
    assert owners(engine) == {one.me: {*known}}


async def _set(event: anyio.Event) -> None:
    event.set()


async def test_who_drains_claims_nothing_more_and_the_others_share_among_them(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    third = await joined(engine)
    third.membership.drain()
    await live(SETTLED + 3 * RENEW, one, other, third)
    beside = len(one.owned), len(other.owned), len(third.owned)
    other.is_heard_of_no_more()
    await live(ROUND, third)
    await live(ROUND, one, third)

    assert beside == (HALF, HALF, 0)
    assert (one.owned, third.owned) == (ALL, frozenset())


async def test_who_drains_keeps_what_it_has_until_it_leaves(engine: Engine) -> None:
    one, other = await two(engine)
    other.membership.drain()
    await live(SETTLED, one, other)
    drained = len(one.owned), len(other.owned)
    await other.membership.leave()
    await live(ROUND, one)

    assert drained == (HALF, HALF)
    assert one.owned == ALL


async def handed_over(node: Node) -> None:
    node.membership.drain()
    await node.membership.hand_over()


async def test_what_is_handed_over_is_taken_in_one_round_while_the_leaver_lives(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    async with living(one, other):
        await handed_over(other)
        took, free = anyio.current_time(), owners(engine)
        await anyio.sleep(ROUND)

    assert took == anyio.current_time() - ROUND
    assert free == {one.me: {*ALL} - other.member.left[-1]}
    assert other.member.left == [ALL - free[one.me]]
    assert (one.owned, other.owned) == (ALL, frozenset())
    assert other.membership.draining


async def test_what_is_handed_over_is_nobody_else_s_while_anything_is_under_way(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    busy = other.member.busy = anyio.Event()
    async with living(one, other):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handed_over, other)
            await anyio.sleep(60)
            before = len(other.owned), len(owners(engine)[other.me])
            busy.set()
        await anyio.sleep(ROUND)

    assert before == (0, HALF)
    assert one.owned == ALL


async def test_the_last_one_that_stays_hands_nothing_over(engine: Engine) -> None:
    one, other = await two(engine)
    async with living(one, other):
        await handed_over(other)
        await handed_over(one)
        await anyio.sleep(ROUND)

    assert (len(one.owned), len(other.owned)) == (HALF, 0)
    assert owners(engine) == {one.me: {*one.owned}}


async def test_who_comes_while_a_daemon_waits_to_hand_over_is_met(
    engine: Engine,
) -> None:
    one = await joined(engine)
    other = await joined(engine)
    await live(ROUND, other)
    async with living(one, other):
        known = one.membership.view.living
        await handed_over(one)
        await anyio.sleep(ROUND)

    assert known == 1
    assert other.owned == ALL


# Who may write.


async def test_who_slept_until_others_took_over_hears_of_it_when_it_wakes(
    engine: Engine,
) -> None:
    one, other = await two(engine)
    other.is_heard_of_no_more()
    await live(ROUND, one)

    with pytest.raises(ExceptionGroup) as caught:
        await live(ROUND, other)

    assert caught.group_contains(errors.LeaseLost, match="32 shards were taken over")


async def test_who_slept_and_was_not_replaced_goes_on(engine: Engine) -> None:
    _, other = await two(engine)
    before = other.owned
    other.is_heard_of_no_more()
    await live(3 * ROUND, other)

    assert other.owned == before
    assert owners(engine)[other.me] == before


async def test_of_a_transaction_that_touches_what_was_lost_nothing_is_kept(
    engine: Engine,
) -> None:
    one = await joined(engine)
    kept = next(
        key
        for key in (f"prod/biz/2/{number}" for number in range(1, 99))
        if shard(key) != shard(KEY)
    )
    taken(engine, shard(KEY))
    refused: list[str] = []

    async def write(key: str) -> None:
        try:
            await one.store.commit(a_change(1, key))
        except errors.LeaseLost:
            refused.append(key)

    async with living(one, attended=False):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write, kept)
            tasks.start_soon(write, KEY)
        found = [await one.store.load(key) for key in (kept, KEY)]
        end = one.store.position, await one.store.end()
        await remember(one.store, a_change(1, kept))

    assert sorted(refused) == sorted([kept, KEY])
    assert found == [State(key=kept), State(key=KEY)]
    assert end == (0, 0)
    assert one.store.position == 1


def taken(engine: Engine, lost: int) -> None:
    """Let somebody else take one shard over."""
    with engine.begin() as connection:
        statement = "UPDATE leases SET owner = 'x/7/x', epoch = epoch + 1"
        connection.execute(text(f"{statement} WHERE shard = {lost}"))


async def test_who_writes_what_its_heir_has_written_learns_that_it_has_one(
    engine: Engine,
) -> None:
    one = await joined(engine)
    told = a_change(1, alerts={})

    def write(connection: Connection) -> None:
        found = [outbox.event_row(event) for event in told.events]
        placed = [{**row, "position": n} for n, row in enumerate(found, 1)]
        connection.execute(insert(events), placed)

    one.database.transact(write, {shard(KEY)})
    with pytest.raises(IntegrityError):
        one.database.transact(write, {shard(KEY)})
    with engine.begin() as connection:
        heir = "UPDATE leases SET owner = 'vm-2/7/x', epoch = epoch + 1"
        connection.execute(text(heir))
    with pytest.raises(errors.LeaseLost):
        one.database.transact(write, {shard(KEY)})


async def test_what_discovery_finds_is_written_by_who_owns_the_source(
    engine: Engine,
) -> None:
    known, new = (
        Watch(key=InstanceKey("prod", "biz", "2", n), place=Place("list.yaml", 1))
        for n in (1, 2)
    )
    one = await joined(engine)
    async with living(one, attended=False):
        await one.store.add([known])
        taken(engine, shard("prod"))
        with pytest.raises(errors.LeaseLost):
            await one.store.add([new])
        with pytest.raises(errors.LeaseLost):
            await one.store.drop([known.key])

        assert await one.store.keys("prod") == [known.key]


async def test_what_people_ask_for_is_written_by_whoever_they_asked(
    engine: Engine,
) -> None:
    _, other = await joined(engine), await joined(engine)
    async with living(other, attended=False):
        await other.store.keep_pause(PAUSE)

        assert await other.store.paused() == [PAUSE]


PAUSE = Pause(key=InstanceKey("prod", "biz", "2", 1), at=NOW)


# What each knows of the others.


async def test_what_one_changes_the_others_hear_once(engine: Engine) -> None:
    one, other = await joined(engine), await joined(engine)
    async with living(one, other):
        await anyio.sleep(2 * ROUND)
        before = [*other.member.topics]
        await one.store.keep_pause(PAUSE)
        await anyio.sleep(3 * ROUND)

    assert before == []
    assert other.member.topics == [frozenset({"wishes"})]


async def test_how_far_the_log_goes_is_heard_at_each_renewal(engine: Engine) -> None:
    one, other = await joined(engine), await joined(engine)
    async with living(one, other):
        await remember(one.store, a_change(1, events=3))
        await anyio.sleep(ROUND)

    assert other.store.position == 3


class Away:
    """Satisfies ``membership.Roll``: a database that is not there."""

    def renew(self, held: Epochs, report: Report, *, draining: bool) -> Seen:
        raise errors.Away

    def claim(self, wanted: object) -> Epochs:
        raise errors.Away

    def release(self, left: object) -> None:
        raise errors.Away

    def leave(self, left: object) -> None:
        raise errors.Away


async def test_without_the_database_nobody_is_sure_of_anything_for_long() -> None:
    holdings = Holdings(())
    holdings.take({7: 1})
    holdings.deadline = anyio.current_time() + SURE
    alone = Membership(
        Away(), "me", holdings, inline, reached=lambda _: None, luck=clock.middling
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(alone.run)
        await anyio.sleep(SURE - 0.1)
        before = holdings.sure()
        await anyio.sleep(0.2)
        after = holdings.sure()
        await alone.leave()
        tasks.cancel_scope.cancel()

    assert (before, after) == (True, False)
    assert holdings.active == {7}


async def test_whoever_renews_is_sure_of_what_it_owns(engine: Engine) -> None:
    one = await joined(engine)
    async with living(one):
        await anyio.sleep(60)
        renewing = one.holdings.sure()
    await anyio.sleep(SURE)

    assert (renewing, one.holdings.sure()) == (True, False)
