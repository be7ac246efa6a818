"""A heartbeat is heard for as long as the daemon works, and not a beat longer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from structlog.testing import capture_logs

from monitor.outlet import Condition
from monitor.pulse import Pulse
from tests.support import clock
from tests.support.sink import RecordingSink, down, taking

pytestmark = pytest.mark.looptime


async def well() -> None:
    """Answer at once."""


@asynccontextmanager
async def beating(
    sink: RecordingSink, alive: Callable[[], Awaitable[None]] = well
) -> AsyncIterator[Pulse]:
    pulse = Pulse(sink, 60, alive, now=clock.now, luck=clock.middling)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pulse.run)
        yield pulse
        tasks.cancel_scope.cancel()


async def test_it_beats_at_once_and_then_again_and_again() -> None:
    sink = RecordingSink("watchdog")
    async with beating(sink):
        await anyio.sleep(181)

    assert [when for when, _ in sink.tried] == pytest.approx([0, 60, 120, 180], abs=1)


async def test_while_the_store_does_not_answer_it_does_not_beat() -> None:
    sink, works = RecordingSink("watchdog"), anyio.Event()
    with capture_logs() as lines:
        async with beating(sink, works.wait):
            await anyio.sleep(100)
            silent = len(sink.tried)
            works.set()
            await anyio.sleep(100)

    assert silent == 0
    assert len(sink.tried) >= 1
    assert {line["event"] for line in lines} == {"heartbeat.withheld"}


async def test_one_that_is_not_heard_is_said_once_and_goes_on() -> None:
    sink = RecordingSink("watchdog", refuse=down)
    with capture_logs() as lines:
        async with beating(sink) as pulse:
            await anyio.sleep(600)
            failing = pulse.outlet.health()
            sink.refuse = taking
            await anyio.sleep(60)
            again = pulse.outlet.health()

    assert len(sink.tried) == 11
    assert [line["event"] for line in lines] == ["sink.failing", "sink.recovered"]
    assert (failing.condition, again.condition) == (Condition.FAILING, Condition.WELL)
