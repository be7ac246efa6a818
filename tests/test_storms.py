"""However much fails at once, a sink is sent few messages of bounded size."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from monitor.core import notifications
from monitor.core.message import Message
from monitor.core.model import host_id
from monitor.notifier import Habits
from monitor.storm import Bound
from tests.support import log, sink, stores
from tests.support.answers import FAILED, RECOVERED, a_job, a_key
from tests.support.desk import telling_to
from tests.support.sink import RecordingSink

pytestmark = pytest.mark.looptime

MANY = [a_key(number) for number in range(1, 301)]
FIVE_A_MINUTE = Habits(storm=Bound(messages=5, per=timedelta(minutes=1)))
ROOM = 1024
"""Bytes of a message around its data."""


def incidents(messages: list[Message]) -> Iterator[int]:
    """Count, in each message, the alerts that it lists and those it says it omits."""
    for message in messages:
        told = sink.told(message)
        yield len(told.alerts) + told.omitted


async def test_what_is_too_much_is_told_in_one_message_that_says_what_it_cut(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, habits=FIVE_A_MINUTE) as desk:
            for key in MANY:
                await log.saw(desk.recorder, FAILED, key)
            await anyio.sleep(600)

        *_, digest = oncall.delivered
        said = sink.told(digest)
        assert oncall.said == [*["first"] * 5, "storm"]
        assert (digest.key, len(said.alerts)) == ("prod/{storm}", notifications.CASES)
        assert list(incidents(oncall.delivered)) == [*[2] * 5, 2 * (len(MANY) - 5)]
        assert said.summary == (
            "prod/{storm}: 590 alerts, 295 failed hosts: "
            "1 of 2 hosts failed in step 'push'; and 587 more"
        )


async def test_after_a_storm_nobody_is_told_twice_and_all_hear_of_the_end(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, habits=FIVE_A_MINUTE) as desk:
            for key in MANY:
                await log.saw(desk.recorder, FAILED, key)
            await anyio.sleep(3600)
            at_first = len(oncall.delivered)
            for key in MANY:
                await log.saw(desk.recorder, RECOVERED, key)
            await anyio.sleep(3600)

        ends = [sink.told(message) for message in oncall.delivered[at_first:]]
        assert at_first == 6
        assert [said.reason for said in ends] == [*["resolved"] * 5, "storm"]
        assert ends[-1].status == "resolved"
        assert ends[-1].summary == "prod/{storm}: 590 alerts are over"


async def test_what_recovers_while_it_waits_is_not_told_as_failed(
    tmp_path: Path,
) -> None:
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall, habits=FIVE_A_MINUTE) as desk:
            for key in MANY[:20]:
                await log.saw(desk.recorder, FAILED, key)
            await anyio.sleep(5)
            for key in MANY[10:20]:
                await log.saw(desk.recorder, RECOVERED, key)
            await anyio.sleep(600)

        assert list(incidents(oncall.delivered)) == [*[2] * 5, 2 * 5]


async def test_a_storm_at_one_sink_is_none_at_another(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        oncall, peer = RecordingSink(), RecordingSink("peer")
        async with telling_to(
            store, oncall, peer, levels=["peer"], habits=FIVE_A_MINUTE
        ) as desk:
            for key in MANY:
                await log.saw(desk.recorder, FAILED, key)
            await anyio.sleep(600)

        assert len(oncall.delivered) == 6
        assert len(peer.delivered) == len(MANY)


async def test_a_crash_in_a_storm_forgets_nobody(tmp_path: Path) -> None:
    oncall = RecordingSink()
    for _ in range(2):
        async with (
            stores.opened(tmp_path) as store,
            telling_to(store, oncall, habits=FIVE_A_MINUTE) as desk,
        ):
            for key in MANY[:50]:
                await log.saw(desk.recorder, FAILED, key)
            await anyio.sleep(30)
    async with (
        stores.opened(tmp_path) as store,
        telling_to(store, oncall, habits=FIVE_A_MINUTE),
    ):
        await anyio.sleep(600)

    assert sum(incidents(oncall.delivered)) == 2 * 50


async def test_all_hosts_of_a_job_failing_bit_by_bit_are_few_messages_of_bounded_size(
    tmp_path: Path,
) -> None:
    every = [
        host_id(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0) for n in range(10_000)
    ]
    async with stores.opened(tmp_path) as store:
        oncall = RecordingSink()
        async with telling_to(store, oncall) as desk:
            for failed in range(20, 2001, 20):
                rows = dict.fromkeys(every[:failed], 104)
                await log.saw(desk.recorder, a_job(2, rows))
                await anyio.sleep(10)
            await anyio.sleep(600)

        last = sink.told(oncall.delivered[-1]).alerts[0]
        assert (last.failed, len(last.hosts) + last.omitted) == (2000, 2000)
        assert len(oncall.delivered) <= 15
        assert all(len(m.data) < notifications.MOST + ROOM for m in oncall.delivered)
