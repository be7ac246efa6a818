"""Silences, maintenance and acknowledgements, on the real store in virtual time."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import anyio
import pytest
from msgspec import structs

from monitor import errors
from monitor.core import matchers
from monitor.core.quiet import Ack, Daily, Entry, Maintenance, Silence
from monitor.quiet import MOST, Quiet
from monitor.store.sql import SqlStore
from tests.support import clock, log, stores
from tests.support.answers import FAILED, KEY, RECOVERED, WORSE
from tests.support.desk import Desk, telling_to
from tests.support.sink import RecordingSink

pytestmark = pytest.mark.looptime

HOUR = timedelta(hours=1)
SECONDS = 3600.0
ALL = (matchers.parse('source="prod"'),)


def a_silence(hours: float) -> Silence:
    return Silence(
        id="s1",
        matchers=ALL,
        starts_at=clock.now(),
        ends_at=clock.now() + hours * HOUR,
        author="alice",
    )


def an_ack(*, hours: float | None = None, sticky: bool = False) -> Ack:
    end = None if hours is None else clock.now() + hours * HOUR
    return Ack(
        group=str(KEY), author="alice", at=clock.now(), ends_at=end, sticky=sticky
    )


@asynccontextmanager
async def watching(
    directory: Path,
    *given: RecordingSink | Silence | Maintenance,
    levels: Collection[str] = (),
) -> AsyncIterator[tuple[Desk, Quiet]]:
    sinks = [each for each in given if isinstance(each, RecordingSink)]
    configured = [each for each in given if not isinstance(each, RecordingSink)]
    async with stores.opened(directory) as store:
        desks: list[Desk] = []

        def changed() -> None:
            desks[0].notifier.reconsider()

        quiet = Quiet(store, configured, now=clock.now, changed=changed)
        await quiet.load()
        async with telling_to(store, *sinks, quiet=quiet, levels=levels) as desk:
            desks.append(desk)
            yield desk, quiet


async def why(store: SqlStore) -> tuple[str, str]:
    [verdict] = await store.verdicts(str(KEY), 1)
    [decision] = verdict.decisions
    return decision.reason, decision.detail


async def test_what_is_silenced_is_told_when_the_silence_ends(tmp_path: Path) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await quiet.say(a_silence(hours=2))
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(SECONDS)
        silent, reason = list(oncall.said), await why(desk.store)
        await anyio.sleep(2 * SECONDS)

    assert (silent, reason) == ([], ("silenced", "s1 by alice"))
    assert [when for when, _ in oncall.tried] == pytest.approx([7200], abs=5)


async def test_a_silence_may_be_ended_at_once(tmp_path: Path) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await quiet.say(a_silence(hours=2))
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(SECONDS)
        [known] = quiet.silences()
        assert isinstance(known, Silence)
        await quiet.expire(known)
        await anyio.sleep(60)

    assert oncall.said == ["first"]


async def test_what_was_told_is_not_reminded_of_while_silenced_and_its_end_is_told(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(a_silence(hours=48))
        await anyio.sleep(24 * SECONDS)
        silenced = list(oncall.said)
        await log.saw(desk.recorder, RECOVERED)
        await anyio.sleep(60)

    assert silenced == ["first"]
    assert oncall.said == ["first", "resolved"]


async def test_who_keeps_a_level_hears_of_nothing_silenced_but_of_the_end_of_what_it_knows(
    tmp_path: Path,
) -> None:
    am = RecordingSink("am")
    async with watching(tmp_path, am, levels=["am"]) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(a_silence(hours=48))
        await log.saw(desk.recorder, WORSE)
        await anyio.sleep(SECONDS)
        silenced = list(am.said)
        await log.saw(desk.recorder, RECOVERED)
        await anyio.sleep(60)
        known = list(am.said)
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(SECONDS)

    assert silenced == ["first"]
    assert known == am.said == ["first", "resolved"]


async def test_silences_outlive_a_restart(tmp_path: Path) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await quiet.say(a_silence(hours=2))
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
    async with watching(tmp_path, oncall):
        await anyio.sleep(SECONDS)
        silent = list(oncall.said)
        await anyio.sleep(2 * SECONDS)

    assert silent == []
    assert oncall.said == ["first"]


async def test_what_happens_in_a_window_is_told_when_it_ends_if_it_still_holds(
    tmp_path: Path,
) -> None:
    start = clock.MORNING.time()
    end = (clock.MORNING + 2 * HOUR).time()
    window = Maintenance(
        name="morning", matchers=ALL, daily=Daily(start=start, end=end)
    )
    oncall = RecordingSink()
    async with watching(tmp_path, oncall, window) as (desk, _):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        reason = await why(desk.store)
        await anyio.sleep(3 * SECONDS)

    assert reason == ("maintenance", "morning")
    assert [when for when, _ in oncall.tried] == pytest.approx([7200], abs=5)


async def test_a_silence_in_the_configuration_ends_as_well(tmp_path: Path) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall, a_silence_of_an_hour()) as (desk, _):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(2 * SECONDS)

    assert [when for when, _ in oncall.tried] == pytest.approx([3600], abs=5)


def a_silence_of_an_hour() -> Silence:
    end = clock.MORNING + HOUR
    return Silence(id="silences[0]", matchers=ALL, starts_at=clock.MORNING, ends_at=end)


async def test_whoever_acknowledges_is_not_reminded_and_hears_what_gets_worse(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(an_ack())
        await anyio.sleep(24 * SECONDS)
        reason = await why(desk.store)
        await log.saw(desk.recorder, WORSE)
        await anyio.sleep(60)

    assert reason == ("acknowledged", "by alice")
    assert oncall.said == ["first", "more_hosts"]


async def test_a_sticky_acknowledgement_keeps_quiet_until_all_is_over(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(an_ack(sticky=True))
        await log.saw(desk.recorder, WORSE)
        await anyio.sleep(24 * SECONDS)
        quiet_so_far = list(oncall.said)
        await log.saw(desk.recorder, RECOVERED)
        await anyio.sleep(60)

    assert quiet_so_far == ["first"]
    assert oncall.said == ["first", "resolved"]


async def test_who_keeps_a_level_hears_of_what_is_acknowledged_as_before(
    tmp_path: Path,
) -> None:
    am, oncall = RecordingSink("am"), RecordingSink()
    async with watching(tmp_path, am, oncall, levels=["am"]) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(an_ack(sticky=True))
        await log.saw(desk.recorder, WORSE)
        await anyio.sleep(60)

    assert am.said == ["first", "more_hosts"]
    assert oncall.said == ["first"]


async def test_an_acknowledgement_is_over_with_its_incident(tmp_path: Path) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(an_ack(sticky=True))
        await log.saw(desk.recorder, RECOVERED)
        await anyio.sleep(60)
        left = quiet.acks(), await desk.store.said()
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)

    assert left == ([], [])
    assert oncall.said == ["first", "resolved", "first"]


async def test_what_is_over_while_nobody_ran_is_no_longer_acknowledged(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(an_ack(sticky=True))
        await log.saw(desk.recorder, RECOVERED)
    async with watching(tmp_path, oncall) as (_, quiet):
        await anyio.sleep(60)
        left = quiet.acks()

    assert left == []


async def test_after_an_acknowledgement_has_expired_reminders_go_on(
    tmp_path: Path,
) -> None:
    oncall = RecordingSink()
    async with watching(tmp_path, oncall) as (desk, quiet):
        await log.saw(desk.recorder, FAILED)
        await anyio.sleep(60)
        await quiet.say(an_ack(hours=6))
        await anyio.sleep(7 * SECONDS)

    assert oncall.said == ["first", "reminder"]
    assert oncall.tried[-1][0] == pytest.approx(6 * SECONDS + 60, abs=5)


async def test_what_is_ended_twice_ended_when_it_was_ended_first(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, RecordingSink()) as (_, quiet):
        await quiet.say(a_silence(hours=2))
        await anyio.sleep(60)
        first = await quiet.expire(quiet.silences()[0])
        await anyio.sleep(60)
        second = await quiet.expire(quiet.silences()[0])

    assert first == second


async def test_what_has_been_over_for_long_is_shown_no_more(tmp_path: Path) -> None:
    async with watching(tmp_path, RecordingSink()) as (_, quiet):
        await quiet.say(a_silence(hours=2))
        await anyio.sleep(20 * SECONDS)
        await quiet.say(structs.replace(a_silence(hours=2), id="s2"))
        shown = [silence.id for silence in quiet.silences()]
        await anyio.sleep(10 * SECONDS)
        await quiet.say(structs.replace(a_silence(hours=2), id="s3"))
        later = [silence.id for silence in quiet.silences()]

    assert (shown, later) == (["s1", "s2"], ["s2", "s3"])


async def test_what_is_over_for_long_is_gone_from_the_list_though_nobody_said_more(
    tmp_path: Path,
) -> None:
    async with watching(tmp_path, RecordingSink()) as (_, quiet):
        await quiet.say(a_silence(hours=2))
        await anyio.sleep(25 * SECONDS)
        shown = len(quiet.silences())
        await anyio.sleep(2 * SECONDS)
        later = quiet.silences()

    assert (shown, later) == (1, [])


async def test_of_what_is_over_the_latest_are_kept_and_whatever_holds(
    tmp_path: Path,
) -> None:
    over = [
        structs.replace(
            a_silence(hours=2),
            id=f"over{number}",
            starts_at=clock.MORNING - HOUR,
            ends_at=clock.MORNING - timedelta(seconds=number),
        )
        for number in range(MOST + 2)
    ]
    async with watching(tmp_path, RecordingSink(), a_silence(hours=2), *over) as (
        _,
        quiet,
    ):
        kept = {silence.id for silence in quiet.silences()}

    assert len(kept) == MOST + 1
    assert {"s1", "over0"} < kept
    assert not {f"over{MOST}", f"over{MOST + 1}"} & kept


class SlowToForget:
    """A calendar that hears of something else while it forgets."""

    def __init__(
        self, store: SqlStore, meanwhile: Callable[[], Awaitable[None]]
    ) -> None:
        self._store = store
        self._meanwhile = meanwhile

    async def said(self) -> list[Entry]:
        return await self._store.said()

    async def say(self, entry: Entry) -> None:
        await self._store.say(entry)

    async def unsay(self, entry: Entry) -> None:
        await self._store.unsay(entry)
        await self._meanwhile()


async def test_who_acknowledges_anew_while_another_takes_it_back_is_heard(
    tmp_path: Path,
) -> None:
    bob = structs.replace(an_ack(), author="bob")

    async def meanwhile() -> None:
        await quiet.say(bob)

    async with stores.opened(tmp_path) as store:
        calendar = SlowToForget(store, meanwhile)
        quiet = Quiet(calendar, now=clock.now, changed=lambda: None)
        await quiet.say(alice := an_ack())
        await quiet.unsay(alice)
        known, kept = quiet.acks(), await store.said()

    assert known == kept == [bob]


class FullDisk:
    """A calendar that can be read, and nothing more."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def said(self) -> list[Entry]:
        return await self._store.said()

    async def say(self, entry: Entry) -> None:
        raise errors.StoreError("the store failed: disk full")

    async def unsay(self, entry: Entry) -> None:
        raise errors.StoreError("the store failed: disk full")


async def test_what_cannot_be_kept_does_not_hold_and_what_cannot_be_ended_holds_on(
    tmp_path: Path,
) -> None:
    looks: list[None] = []
    async with stores.opened(tmp_path) as store:
        for entry in (known := a_silence(hours=2), ack := an_ack()):
            await store.say(entry)
        quiet = Quiet(
            FullDisk(store), now=clock.now, changed=lambda: looks.append(None)
        )
        await quiet.load()
        with pytest.raises(errors.StoreError):
            await quiet.say(structs.replace(known, id="s2"))
        with pytest.raises(errors.StoreError):
            await quiet.expire(known)
        with pytest.raises(errors.StoreError):
            await quiet.unsay(ack)
        with pytest.raises(errors.StoreError):
            await quiet.over(ack.group)

    assert quiet.silences() == [known]
    assert quiet.acks() == [ack]
    assert looks == []
