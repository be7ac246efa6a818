"""A source as several daemons see it together, in virtual time on a real store."""

from pathlib import Path

import anyio
import pytest

from monitor.sight import CALM
from tests.support.answers import a_key
from tests.support.eyes import SCOPE, a_pair, meet

pytestmark = pytest.mark.looptime

LOST = ["source.lost", "alert.raised"]
RESTORED = ["source.restored", "alert.resolved"]


async def test_a_source_that_one_of_two_sees_is_not_lost(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as (blind, seeing):
        await seeing.sees()
        await meet(blind, seeing)
        await blind.fails()
        await meet(blind, seeing)

        assert blind.told == []
        assert blind.sight.lost
        assert not blind.sight.missing


async def test_it_is_lost_once_when_nobody_sees_it_and_back_when_one_does(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (owner, other):
        for eye in (owner, other):
            await eye.sees()
        await meet(owner, other)
        await owner.fails()
        await other.fails()
        await meet(owner, other)
        assert (owner.told, other.told) == (LOST, [])
        assert owner.sight.missing
        assert other.sight.missing

        await other.sees()
        await meet(owner, other)
        assert (owner.told, other.told) == (LOST + RESTORED, [])
        assert owner.sight.lost
        assert not owner.sight.missing


async def test_each_says_once_that_a_source_is_back_as_soon_as_it_knows(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (seeing, blind):
        for eye in (seeing, blind):
            await eye.sees()
        await meet(seeing, blind)
        await seeing.fails()
        await blind.fails()
        await meet(seeing, blind)
        assert seeing.back == blind.back == []

        await seeing.sees()
        seen_at = anyio.current_time()
        await anyio.sleep(3)
        assert blind.sight.missing
        met_at = anyio.current_time()
        await meet(seeing, blind, rounds=3)
        assert seeing.back == [pytest.approx(seen_at, abs=0.1)]
        assert blind.back == [pytest.approx(met_at, abs=0.1)]
        assert blind.sight.lost


async def test_whose_it_is_tells_though_it_looks_at_nobody(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as (owner, other):
        owner.watches = 0
        await other.sees()
        await meet(owner, other)
        await other.fails()
        await meet(owner, other)

        assert owner.told == LOST


async def test_nobody_who_has_yet_to_look_makes_a_source_lost_or_seen(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (owner, new):
        await meet(owner, new)
        await owner.fails()
        await meet(owner, new)
        assert owner.told == []

        await new.fails()
        await meet(owner, new)
        assert owner.told == LOST


async def test_whose_it_is_looks_first_before_it_believes_the_others(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (owner, other):
        await meet(owner, other)
        await other.fails()
        await meet(owner, other)
        assert owner.told == []

        await owner.sees()
        await meet(owner, other)
        assert owner.told == []


async def test_who_reads_its_settings_anew_makes_no_source_lost(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (owner, other):
        await other.sees()
        await meet(owner, other)
        await owner.fails()
        other.blank = True
        await meet(owner, other)

        assert owner.told == []


async def test_what_one_sees_who_is_about_to_leave_does_not_count(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (owner, other):
        await other.sees()
        await meet(owner, other)
        await owner.fails()
        other.draining = True
        await meet(owner, other)

        assert owner.told == LOST


async def test_another_owner_neither_repeats_a_loss_nor_forgets_the_return(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (one, next_):
        await one.fails()
        await next_.fails()
        await meet(one, next_)
        one.owns = set()
        await next_.gain("prod")
        await meet(one, next_)
        assert (one.told, next_.told) == (LOST, [])

        await one.sees()
        await meet(one, next_)
        assert (one.told, next_.told) == (LOST, RESTORED)


async def test_a_loss_between_two_owners_is_told_by_the_next(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as (one, next_):
        one.owns = set()
        await one.fails()
        await next_.fails()
        await meet(one, next_)
        assert one.told == next_.told == []

        await next_.gain("prod")
        await meet(one, next_)
        assert next_.told == LOST


async def test_a_scope_is_refused_while_anybody_is_refused_there(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (one, owner):
        await meet(one, owner)
        await one.sight.refused(a_key(1), "no permission")
        await owner.sight.refused(a_key(2), "no permission")
        await meet(one, owner)
        assert (one.told, owner.told) == ([], ["alert.raised"])

        await owner.sight.clear(a_key(2))
        await meet(one, owner, rounds=20)
        assert owner.told == ["alert.raised"]

        await one.sight.clear(a_key(1))
        await meet(one, owner, rounds=12)
        assert owner.told == ["alert.raised", "alert.resolved"]


async def test_a_refusal_outlives_the_daemon_that_met_with_it(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as (gone, owner):
        await meet(gone, owner)
        await gone.sight.refused(a_key(1), "no permission")
        await meet(gone, owner)

        await meet(owner)
        await owner.gain("prod")
        await owner.sight.keep([a_key(1)])
        await meet(owner, rounds=20)
        assert owner.told == ["alert.raised"]

        await owner.sight.clear(a_key(1))
        assert owner.told == ["alert.raised", "alert.resolved"]


async def test_a_scope_that_nobody_asks_about_any_more_is_calm_in_the_end(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as (gone, owner):
        await meet(gone, owner)
        await gone.sight.refused(a_key(1), "no permission")
        await meet(gone, owner)
        await meet(owner)
        await anyio.sleep(CALM)
        await meet(owner)

        assert owner.told == ["alert.raised", "alert.resolved"]


async def test_a_scope_told_of_by_another_daemon_is_told_once(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as (one, owner):
        await owner.sight.refused(a_key(2), "no permission")
        owner.owns = set()
        await one.gain(SCOPE)
        await meet(one, owner)

        assert (one.told, owner.told) == ([], ["alert.raised"])
