"""What every sink promises: the same tests for all of them."""

import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from looptime import LoopTimeProxy
from pydantic import TypeAdapter
from structlog.testing import capture_logs

from monitor import clock, errors
from monitor.core.message import Message
from monitor.ports import Sink
from monitor.sinks import catalogue
from monitor.sinks.catalogue import SinkConfig
from tests.sinks.messages import a_notification, an_event
from tests.sinks.receiver import answering, hanging, receiving

CANARY = "canary-7f3a9d"

Taken = Callable[[], list[str]]
"""Lists the ids that have arrived on the other side, in order."""

Opened = AbstractAsyncContextManager[tuple[Sink, Taken]]


def config(**fields: Any) -> SinkConfig:
    return TypeAdapter[SinkConfig](SinkConfig).validate_python({"name": "x", **fields})


def opened(**fields: Any) -> AbstractAsyncContextManager[Sink]:
    return catalogue.opened(config(**fields), now=clock.utc_now)


@asynccontextmanager
async def a_log(_site: Path) -> AsyncIterator[tuple[Sink, Taken]]:
    with capture_logs() as lines:
        async with opened(kind="log") as sink:
            yield sink, lambda: [line["id"] for line in lines]


@asynccontextmanager
async def a_webhook(_site: Path) -> AsyncIterator[tuple[Sink, Taken]]:
    async with (
        receiving() as receiver,
        opened(
            kind="webhook", url=receiver.url, allow_networks=["127.0.0.0/8"]
        ) as sink,
    ):
        yield sink, lambda: [ids(it.body) for it in receiver.deliveries]


@asynccontextmanager
async def a_plugin(site: Path) -> AsyncIterator[tuple[Sink, Taken]]:
    path = site / "taken.jsonl"
    async with opened(
        kind="plugin", plugin="file", options={"path": str(path)}
    ) as sink:
        yield sink, lambda: [ids(line) for line in path.read_bytes().splitlines()]


def ids(event: bytes) -> str:
    return str(msgspec.json.decode(event)["id"])


every_sink = pytest.mark.parametrize("a_sink", [a_log, a_webhook, a_plugin])


@every_sink
@pytest.mark.parametrize("message", [an_event(), a_notification()])
async def test_a_message_is_delivered(
    a_sink: Callable[[Path], Opened], message: Message, site: Path
) -> None:
    async with a_sink(site) as (sink, taken):
        await sink.deliver(message)

        assert taken() == [message.id]


@every_sink
async def test_the_same_message_twice_arrives_under_the_same_id(
    a_sink: Callable[[Path], Opened], site: Path
) -> None:
    async with a_sink(site) as (sink, taken):
        await sink.deliver(an_event())
        await sink.deliver(an_event())

        assert taken() == [an_event().id] * 2


@every_sink
async def test_a_sink_is_called_as_it_was_configured(
    a_sink: Callable[[Path], Opened], site: Path
) -> None:
    async with a_sink(site) as (sink, _):
        assert sink.name == "x"


@every_sink
async def test_data_of_an_unknown_shape_is_delivered(
    a_sink: Callable[[Path], Opened], site: Path
) -> None:
    strange = an_event(data={"hosts": 7, "step": "x", "novel": {"deep": [None]}})

    async with a_sink(site) as (sink, taken):
        await sink.deliver(strange)

        assert taken() == [strange.id]


@pytest.mark.looptime
async def test_a_webhook_that_hangs_is_given_up_after_its_timeout(
    looptime: LoopTimeProxy,
) -> None:
    async with (
        receiving(hanging) as receiver,
        opened(kind="webhook", url=receiver.url, allow_networks=["127.0.0.1"]) as sink,
    ):
        with pytest.raises(errors.Undelivered, match="did not answer within 15s"):
            await sink.deliver(an_event())

        assert looptime == 15


@pytest.mark.looptime
@pytest.mark.usefixtures("site")
async def test_a_plugin_that_hangs_is_given_up_after_its_timeout(
    looptime: LoopTimeProxy,
) -> None:
    async with opened(kind="plugin", plugin="hanging", timeout="2m") as sink:
        with pytest.raises(errors.Undelivered, match="within 2m"):
            await sink.deliver(an_event())

        assert looptime == 120


@pytest.mark.parametrize("status", [302, 400, 401, 403, 410, 429, 503])
async def test_no_secret_is_in_a_refusal_that_echoes_it(status: int) -> None:
    async with receiving() as receiver:
        url = f"{receiver.origin}/{CANARY}?key={CANARY}"
        receiver.answer = answering(status, f"no /{CANARY} {CANARY}", Location=url)
        async with a_secretive_webhook(url) as sink:
            error = await refusal(sink)

    assert CANARY not in error


async def test_no_secret_is_in_a_failure_to_connect() -> None:
    async with receiving() as receiver:
        origin = receiver.origin
    for server in (origin, "http://10.1.2.3", "http://nowhere.invalid"):
        async with a_secretive_webhook(f"{server}/{CANARY}?key={CANARY}") as sink:
            error = await refusal(sink)

        assert CANARY not in error


@pytest.mark.usefixtures("site")
async def test_no_secret_is_in_a_plugin_that_cannot_be_opened() -> None:
    options = {"token": CANARY}

    with pytest.raises(errors.Misconfigured) as refused:
        async with opened(kind="plugin", plugin="file", options=options):
            pass

    assert CANARY not in printed(refused.value)


def a_secretive_webhook(url: str) -> AbstractAsyncContextManager[Sink]:
    return opened(
        kind="webhook",
        url=url,
        secret=CANARY,
        headers={"Authorization": f"Bearer {CANARY}"},
        allow_networks=["127.0.0.0/8"],
    )


async def refusal(sink: Sink) -> str:
    with pytest.raises(errors.SinkError) as refused:
        await sink.deliver(an_event())
    return printed(refused.value)


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
