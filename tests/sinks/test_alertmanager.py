"""The sink that keeps Alertmanager informed, against one that only remembers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from aiohttp import BasicAuth, web
from looptime import LoopTimeProxy
from msgspec import structs
from structlog.testing import capture_logs

from monitor import errors
from monitor.core.message import Message
from monitor.sinks.alertmanager import held, sink
from monitor.sinks.alertmanager.config import AlertmanagerConfig
from monitor.sinks.alertmanager.sink import AlertmanagerSink
from tests.core.builders import STEPS, hosts, job, step
from tests.formats.notified import failing, notified, recovered
from tests.sinks.messages import an_event
from tests.sinks.receiver import Receiver, answering, hanging, receiving
from tests.support import clock

pytestmark = pytest.mark.looptime

FAILED, RECOVERED = notified(failing(), recovered())
MINUTE = timedelta(minutes=1)


def configured(*urls: str, **fields: Any) -> AlertmanagerConfig:
    given = {"name": "am", "kind": "alertmanager", "allow_networks": ["127.0.0.0/8"]}
    return AlertmanagerConfig.model_validate({**given, "urls": urls, **fields})


@asynccontextmanager
async def a_pair(**fields: Any) -> AsyncIterator[tuple[AlertmanagerSink, Receiver]]:
    async with receiving(answering(200)) as receiver:
        config = configured(receiver.origin, **fields)
        async with sink.opened(config, now=clock.now) as opened:
            yield opened, receiver


def posted(receiver: Receiver, number: int = -1) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(receiver.deliveries[number].body)
    return found


def ends(receiver: Receiver, number: int = -1) -> dict[str, datetime]:
    return {
        alert["labels"]["alertname"]: datetime.fromisoformat(alert["endsAt"])
        for alert in posted(receiver, number)
    }


def of_another_job(message: Message, number: int) -> Message:
    """Let the same be said about another instance."""
    key = f"prod/biz/2/{number}"
    data = message.data.replace(b"20000153", str(number).encode())
    return structs.replace(message, key=key, data=data)


async def test_each_alert_is_pushed_with_its_labels_and_when_it_began() -> None:
    async with a_pair() as (am, receiver):
        await am.deliver(FAILED)

        hosts_failed, job_failed = posted(receiver)
        assert hosts_failed["labels"]["alertname"] == "hosts_failed"
        assert hosts_failed["labels"]["instance"] == "prod/biz/2/20000153"
        assert hosts_failed["labels"]["team"] == "sre"
        assert "No space left on device" in hosts_failed["annotations"]["description"]
        assert hosts_failed["startsAt"] == "2026-11-23T10:00:00Z"
        assert hosts_failed["generatorURL"].startswith("https://job.example.com/")
        assert job_failed["labels"]["alertname"] == "job_failed"


async def test_what_holds_is_sent_every_minute_with_an_end_four_minutes_ahead() -> None:
    async with a_pair() as (am, receiver):
        await am.deliver(FAILED)
        await anyio.sleep(150)

        assert len(receiver.deliveries) == 3
        assert set(ends(receiver).values()) == {clock.MORNING + 2 * MINUTE + 4 * MINUTE}


async def test_an_end_is_sent_once_and_nothing_after_it() -> None:
    async with a_pair() as (am, receiver):
        await am.deliver(FAILED)
        await am.deliver(RECOVERED)
        await anyio.sleep(600)

        assert len(receiver.deliveries) == 2
        assert ends(receiver) == {
            "hosts_failed": RECOVERED.time,
            "job_failed": RECOVERED.time,
        }


async def test_what_ended_while_others_hold_is_ended_and_the_others_go_on() -> None:
    first = step(4, hosts(_1=104))
    second = step(4, hosts(_1=104), number=STEPS[1])
    both, one = notified(
        job(4, first, second),
        job(4, step(3, hosts(_1=9), attempt=1), second),
    )
    async with a_pair() as (am, receiver):
        await am.deliver(both)
        await am.deliver(one)
        [over] = [a for a in posted(receiver) if a["endsAt"] == rfc3339(one.time)]
        await anyio.sleep(61)

        assert over["labels"]["step_instance_id"] == str(STEPS[0])
        assert len(posted(receiver, 0)) == 3
        assert len(posted(receiver)) == 2


async def test_what_a_message_does_not_list_is_over_although_nobody_says_so() -> None:
    silent = without_ended(RECOVERED)

    async with a_pair() as (am, receiver):
        await am.deliver(FAILED)
        await am.deliver(silent)

        assert set(ends(receiver).values()) == {RECOVERED.time}


async def test_what_a_message_had_no_room_for_still_holds() -> None:
    data = msgspec.json.decode(FAILED.data)
    cut = {**data, "alerts": data["alerts"][:1], "omitted": 1}
    full = structs.replace(FAILED, data=msgspec.json.encode(cut))

    async with a_pair() as (am, receiver):
        await am.deliver(FAILED)
        await am.deliver(full)
        await anyio.sleep(61)

        assert len(posted(receiver)) == 2


async def test_an_end_that_comes_after_a_restart_ends_what_was_told_before_it() -> None:
    async with a_pair() as (am, receiver):
        await am.deliver(RECOVERED)

        assert ends(receiver).keys() == {"hosts_failed", "job_failed"}


async def test_every_member_is_told_and_one_that_took_it_is_enough() -> None:
    async with receiving(answering(200)) as one, receiving(answering(503)) as other:
        config = configured(one.origin, f"{other.origin}/prefix/")
        with capture_logs() as lines:
            async with sink.opened(config, now=clock.now) as am:
                await am.deliver(FAILED)
                await anyio.sleep(61)
                other.answer = answering(200)
                await anyio.sleep(61)

        assert len(one.deliveries) == len(other.deliveries) == 3
        assert [(line["event"], line["at"]) for line in lines] == [
            ("alertmanager.failing", other.origin),
            ("alertmanager.recovered", other.origin),
        ]


async def test_a_message_that_nobody_took_is_tried_again() -> None:
    async with receiving(answering(503, Retry_After="7")) as one:
        async with receiving() as gone:
            pass
        config = configured(gone.origin, one.origin)
        async with sink.opened(config, now=clock.now) as am:
            with pytest.raises(errors.Undelivered):
                await am.deliver(FAILED)


async def test_what_nobody_took_is_told_by_the_next_round_however_late_the_next_try() -> (
    None
):
    async with a_pair() as (am, receiver):
        receiver.answer = answering(503)
        with pytest.raises(errors.Undelivered):
            await am.deliver(FAILED)
        receiver.answer = answering(200)
        await anyio.sleep(61)

        assert len(posted(receiver)) == 2


@pytest.mark.parametrize("status", [302, 401, 403, 404, 410, 429, 500, 503])
async def test_an_address_or_a_password_that_is_wrong_can_be_put_right(
    status: int,
) -> None:
    async with a_pair() as (am, receiver):
        receiver.answer = answering(status, "canary", Location="https://x.example.com")
        with pytest.raises(errors.Undelivered, match=f"answered {status}"):
            await am.deliver(FAILED)


async def test_alerts_that_are_refused_are_no_more_sent() -> None:
    async with a_pair() as (am, receiver):
        receiver.answer = answering(400, "bad label")
        with pytest.raises(errors.Rejected, match="bad label"):
            await am.deliver(FAILED)
        await anyio.sleep(600)

        assert len(receiver.deliveries) == 1


async def test_a_member_that_hangs_holds_up_nobody_beyond_its_timeout(
    looptime: LoopTimeProxy,
) -> None:
    async with receiving(answering(200)) as one, receiving(hanging) as other:
        config = configured(other.origin, one.origin)
        async with sink.opened(config, now=clock.now) as am:
            await am.deliver(FAILED)

            assert looptime == 10
            assert len(one.deliveries) == 1


async def test_an_end_waits_for_a_round_that_is_under_way() -> None:
    arrived: list[bool] = []

    async def slowly(request: web.BaseRequest) -> web.StreamResponse:
        found = msgspec.json.decode(await request.read())
        await anyio.sleep(5)
        arrived.append(any(a["endsAt"] == rfc3339(RECOVERED.time) for a in found))
        return web.Response()

    async with a_pair() as (am, receiver):
        await am.deliver(FAILED)
        receiver.answer = slowly
        await anyio.sleep(61)
        await am.deliver(RECOVERED)
        await anyio.sleep(120)

        assert arrived == [False, True]


async def test_what_is_refused_in_a_round_does_not_keep_the_others_from_it() -> None:
    async def picky(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=400 if b"biz/2/7" in await request.read() else 200)

    async with a_pair() as (am, receiver):
        await am.deliver(of_another_job(FAILED, 7))
        for number in range(100, 200):
            await am.deliver(of_another_job(FAILED, number))
        receiver.deliveries.clear()
        receiver.answer = picky
        await anyio.sleep(61)

        assert len(receiver.deliveries) == 2


async def test_many_alerts_go_in_requests_of_bounded_size() -> None:
    async with a_pair() as (am, receiver):
        for number in range(1, 252):
            await am.deliver(of_another_job(FAILED, number))
        receiver.deliveries.clear()
        await anyio.sleep(61)

        sizes = [len(posted(receiver, n)) for n in range(len(receiver.deliveries))]
        assert sizes == [200, 200, 102]


async def test_no_more_is_held_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(held, "MOST", 3)

    async with a_pair() as (am, _):
        await am.deliver(FAILED)
        with pytest.raises(errors.Undelivered, match="3 alerts are held already"):
            await am.deliver(of_another_job(FAILED, 7))
        await am.deliver(FAILED)
        await am.deliver(RECOVERED)
        await am.deliver(of_another_job(FAILED, 7))


async def test_basic_authentication_is_read_anew_when_it_is_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "password"
    file.write_text("old\n")

    async def guarded(request: web.BaseRequest) -> web.StreamResponse:
        given = BasicAuth.decode(request.headers["Authorization"])
        good = (given.login, given.password) == ("monitor", "new")
        return web.Response(status=200 if good else 401, text=given.password)

    async with a_pair(username="monitor", password_file=file) as (am, receiver):
        receiver.answer = guarded
        file.write_text("new\n")
        with pytest.raises(errors.Undelivered):
            await am.deliver(FAILED)
        await am.deliver(FAILED)


async def test_headers_come_from_a_file_and_no_secret_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("Authorization: Bearer canary-1\nX-Scope-OrgID: jobs\n")

    async def echoing(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=400, text=request.headers["Authorization"])

    async with a_pair(headers_file=file) as (am, receiver):
        receiver.answer = echoing
        with pytest.raises(errors.Rejected) as refused:
            await am.deliver(FAILED)

        assert receiver.deliveries[0].headers["x-scope-orgid"] == "jobs"
    assert "canary" not in str(refused.value)


async def test_an_alert_never_ends_before_it_began() -> None:
    early = structs.replace(RECOVERED, time=FAILED.time - timedelta(hours=1))

    async with a_pair() as (am, receiver):
        await am.deliver(early)

        assert set(ends(receiver).values()) == {FAILED.time}


async def test_events_are_refused() -> None:
    async with a_pair() as (am, _):
        with pytest.raises(errors.Rejected, match="is no notification"):
            await am.deliver(an_event())


async def test_what_ends_the_daemon_passes_the_sink_as_it_is() -> None:
    with pytest.raises(errors.Misconfigured, match="another sink"):
        async with a_pair():
            raise errors.Misconfigured("another sink")


@pytest.mark.parametrize(
    "fields",
    [
        {"urls": []},
        {"urls": ["https://am.example.com/api/v2/alerts"]},
        {"urls": ["https://am.example.com/?x=1"]},
        {"urls": ["am.example.com:9093"]},
        {"resend_every": "9s"},
        {"resend_every": "11m"},
        {"send": ["events", "alerts"]},
        {"username": "x"},
        {"password": "x"},
        {"username": "x", "password": "x", "password_file": "/run/x"},
        {"username": "x", "password": "x", "headers": {"Authorization": "y"}},
        {"username": "a:b", "password": "x"},
    ],
)
def test_what_cannot_be_meant_is_refused(fields: Mapping[str, Any]) -> None:
    given = {"name": "am", "kind": "alertmanager", "urls": ["https://am.example.com"]}

    with pytest.raises(ValueError, match="validation error"):
        AlertmanagerConfig.model_validate({**given, **fields})


def test_it_keeps_a_level_so_that_the_notifier_tells_it_of_every_end() -> None:
    assert configured("https://am.example.com").level is True


def rfc3339(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def without_ended(message: Message) -> Message:
    data = {**msgspec.json.decode(message.data), "ended": []}
    return structs.replace(message, data=msgspec.json.encode(data))
