"""Whatever breaks off whenever: what was recorded arrives, in order, as it was recorded.

An example is a row of lives of the daemon on one store file. Each life goes through
some visits with a sink in some mood, and is cut off after some milliseconds; the
last one goes on for a day with a sink that is well.
"""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from structlog.testing import capture_logs

from monitor import errors
from monitor.agenda import Rules
from monitor.core.message import Message
from monitor.core.model import InstanceKey
from monitor.dispatcher import Dispatcher
from monitor.store.sql import SqlStore
from tests.support import clock, stores
from tests.support.answers import (
    FAILED,
    RECOVERED,
    RETRYING,
    RUNNING,
    WORSE,
    a_key,
    a_watch,
)
from tests.support.sink import RecordingSink, Refuse, down, taking
from tests.support.source import Answer, ScriptedSource
from tests.support.watching import Watching

pytestmark = pytest.mark.looptime

DAY: Final = 86_400.0
KEYS: Final = (a_key(1), a_key(2))
RULES: Final = Rules(spread=0.0, gone_apart=0.0)
ANSWERS: Final[tuple[Answer, ...]] = (
    RUNNING,
    FAILED,
    WORSE,
    RETRYING,
    RECOVERED,
    errors.Missing(),
    errors.Unavailable(),
    errors.Refused(),
    errors.Forbidden("no"),
    errors.Garbled("torn"),
    ZeroDivisionError(),
)


def faltering(message: Message) -> Exception | None:
    return down(message) if (message.sequence or 0) % 3 == 2 else None


class Visit(Struct, frozen=True):
    key: InstanceKey
    answer: Answer


class List(Struct, frozen=True):
    """The watch list changes."""

    keys: tuple[InstanceKey, ...]


class Life(Struct, frozen=True):
    steps: tuple[Visit | List, ...]
    refuse: Refuse
    lasting: float


visits = st.builds(Visit, st.sampled_from(KEYS), st.sampled_from(ANSWERS))
lists = st.builds(List, st.sampled_from([(), KEYS[:1], KEYS[1:], KEYS]))
lives = st.builds(
    Life,
    st.lists(st.one_of(visits, visits, visits, lists), max_size=8).map(tuple),
    st.sampled_from([taking, faltering, down]),
    st.sampled_from([0.001, 0.006, 0.011, 0.02, 0.05, 0.2, 3.0, 100.0]),
)


class Story:
    """The file, and the sink, which outlive every life."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sink = RecordingSink()
        self.sink.latency = lambda _: 0.002
        self.listed: tuple[InstanceKey, ...] = KEYS

    async def live(self, life: Life) -> None:
        self.sink.refuse = life.refuse
        async with stores.opened(self.directory) as store:
            with anyio.move_on_after(life.lasting):
                await self._live(store, life)

    async def _live(self, store: SqlStore, life: Life) -> None:
        for reader in ("witness", self.sink.name):
            await store.enrol(reader)
        dispatcher = Dispatcher(
            self.sink, store, lambda _: True, now=clock.now, luck=clock.middling
        )
        source = ScriptedSource()
        source.latency = 0.001
        seen = Watching(store, source, rules=RULES, heard=lambda _: dispatcher.wake())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await seen.sight.remember(await store.heads(source.name))
            await seen.poller.watch(map(a_watch, self.listed))
            for step in life.steps:
                await self._take(step, source, seen)
            await anyio.sleep_forever()

    async def _take(
        self, step: Visit | List, source: ScriptedSource, seen: Watching
    ) -> None:
        match step:
            case Visit(key, answer):
                source.says(answer, about=key)
                with suppress(ZeroDivisionError):
                    await seen.poller.visit(key)
            case List(keys):
                self.listed = keys
                await seen.poller.watch(map(a_watch, keys))

    async def recorded(self) -> list[Message]:
        async with stores.opened(self.directory) as store:
            unread = await store.unread("witness", 10_000)
            return [message for _, message in unread.events]


@settings(max_examples=60, deadline=None)
@given(st.lists(lives, min_size=1, max_size=5))
async def test_what_was_recorded_arrives_in_order_and_as_it_was_recorded(
    row: list[Life],
) -> None:
    with TemporaryDirectory() as directory, capture_logs():
        story = Story(Path(directory))
        for life in row:
            await story.live(life)
        await story.live(Life((), taking, DAY))
        recorded = await story.recorded()

    for key in {message.key for message in recorded}:
        numbers = [m.sequence for m in recorded if m.key == key]
        assert numbers == list(range(1, len(numbers) + 1))
        assert first_arrivals(story.sink.delivered, key) == numbers
    assert {m.id: m for m in story.sink.delivered} == {m.id: m for m in recorded}
    assert all(m in recorded for m in story.sink.delivered)


def first_arrivals(delivered: list[Message], key: str) -> list[int | None]:
    return list(dict.fromkeys(m.sequence for m in delivered if m.key == key))
