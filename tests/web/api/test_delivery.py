"""Sinks, dead letters and replays, asked for on a real socket and typed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct

from monitor import clock, errors
from monitor.core.message import Message
from monitor.dispatching import Care, Dispatching
from monitor.ports import Notice, Telling
from monitor.replaying import Replaying
from monitor.store.sql import SqlStore
from monitor.web.api import dlq, replay, sinks
from tests.store.changes import DAY, KEY, a_change, a_delivery, a_notification, remember
from tests.support import control, stores
from tests.support.control import ask, typed
from tests.support.sink import RecordingSink, taking

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

HOSTILE = "\x1b[2Jgone\n"


def never(_: Message) -> Exception:
    return errors.Rejected(f"410 {HOSTILE}")


class House(Struct):
    """A daemon as far as delivery goes: one sink that refuses what it is told to."""

    socket: Path
    store: SqlStore
    sink: RecordingSink
    dispatching: Dispatching

    async def records(self, count: int, key: str = KEY) -> None:
        for version in range(1, count + 1):
            now = clock.utc_now()
            await remember(self.store, a_change(version, key, at=now))
        self.dispatching.wake()

    async def settles(self) -> None:
        with anyio.fail_after(30):
            await self.dispatching.drain()

    async def ask(self, method: str, path: str, **body: Any) -> Any:
        more = {"json": body} if body else {}
        answer = await ask(self.socket, method, path, **more)
        assert answer.status == 200, answer.body
        return answer.body

    async def types(self, *words: str) -> control.Typed:
        return await typed(*words, "--socket", str(self.socket))


@asynccontextmanager
async def a_house(
    tmp_path: Path, refuse: Any = taking, **care: Any
) -> AsyncIterator[House]:
    async with stores.opened(tmp_path) as store:
        sink = RecordingSink(refuse=refuse)
        dispatching = Dispatching(store, now=clock.utc_now, luck=lambda: 0.5)
        dispatching.add(sink, lambda _: True, Care(**care))
        await store.enrol(sink.name)
        replaying = Replaying(store, dispatching, now=clock.utc_now)
        routes = [
            *sinks.operations(dispatching, store),
            *dlq.operations(store, dispatching, clock.utc_now),
            *replay.operations(replaying),
        ]
        async with (
            control.serving(tmp_path, routes) as socket,
            anyio.create_task_group() as tasks,
        ):
            dispatching.start(tasks)
            yield House(socket, store, sink, dispatching)
            tasks.cancel_scope.cancel()


# Sinks.


async def test_a_sink_that_takes_everything_is_well(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        await house.records(3)
        await house.settles()
        [found] = (await house.ask("GET", "/sinks"))["items"]
        listed = await house.types("sink", "ls")

    assert found["condition"] == "well"
    assert (found["waiting"], found["unread"], found["dead"]) == (0, 0, 0)
    assert found["taken_at"] is not None
    head, line = listed.stdout.splitlines()
    assert head.split()[:2] == ["SINK", "CONDITION"]
    assert line.split()[:2] == ["oncall", "well"]


async def test_a_sink_that_fails_says_since_when_why_and_what_waits(
    tmp_path: Path,
) -> None:
    def down(_: Message) -> Exception:
        return errors.Undelivered(f"503 {HOSTILE}")

    async with a_house(tmp_path, down, fallback="") as house:
        await house.records(3)
        await house.settles()
        [found] = (await house.ask("GET", "/sinks"))["items"]
        listed = await house.types("sink", "ls")

    assert found["condition"] == "failing"
    assert found["since"] is not None
    assert found["waiting"] == 3
    assert "failing for" in listed.stdout
    assert "503" in listed.stdout
    assert "\x1b" not in listed.stdout


async def test_after_a_start_a_sink_is_failing_for_what_it_has_not_taken_before(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        late = clock.utc_now().timestamp() + 3600
        await house.store.put([a_delivery(tries=3, due=late)])
        [found] = (await house.ask("GET", "/sinks"))["items"]

    assert found["condition"] == "failing"


# Dead letters.


async def test_dead_letters_are_listed_the_oldest_first_a_page_at_a_time(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, never) as house:
        await house.records(5)
        await house.settles()
        first = await house.ask("GET", "/dlq?limit=3")
        rest = await house.ask("GET", f"/dlq?limit=3&after={first['next']}")

    ids = [letter["id"] for page in (first, rest) for letter in page["items"]]
    assert ids == [f"{KEY}#{number}" for number in range(1, 6)]
    assert rest["next"] is None
    assert {letter["tries"] for letter in first["items"]} == {1}


async def test_a_dead_letter_is_shown_as_its_sink_would_have_got_it(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, never) as house:
        await house.records(2)
        await house.settles()
        shown = await house.types("dlq", "show", f"{KEY}#2")
        unknown = await house.types("dlq", "show", f"{KEY}#3")

    assert shown.stderr == ""
    letter = json.loads(shown.stdout)
    assert letter["message"]["id"] == f"{KEY}#2"
    assert letter["message"]["specversion"] == "1.0"
    assert unknown.code == 6
    assert "see dlq ls" in unknown.stderr


async def test_dead_letters_that_are_replayed_arrive_under_their_ids(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, never) as house:
        await house.records(5)
        await house.settles()
        house.sink.refuse = taking
        one = await house.types("dlq", "replay", f"{KEY}#2")
        all_ = await house.types("dlq", "replay", "--all", "--sink", "oncall")
        await house.settles()
        left = await house.ask("GET", "/dlq")

    assert (one.code, one.stderr) == (0, "1 dead letter on the way again.\n")
    assert (all_.code, all_.stderr) == (0, "4 dead letters on the way again.\n")
    assert sorted(house.sink.ids) == [f"{KEY}#{number}" for number in range(1, 6)]
    assert left["items"] == []


async def test_letters_of_a_sink_that_is_gone_stay_and_that_is_said(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        await house.store.bury(a_delivery(sink="former"), 1.0)
        said = await house.types("dlq", "replay", "--all")
        left = await house.ask("GET", "/dlq")

    assert said.code == 1
    assert "configured no more" in said.stderr
    assert [letter["sink"] for letter in left["items"]] == ["former"]


async def test_dead_letters_can_be_thrown_away(tmp_path: Path) -> None:
    async with a_house(tmp_path, never) as house:
        await house.records(3)
        await house.settles()
        dropped = await house.types("dlq", "drop", f"{KEY}#1", f"{KEY}#3")
        listed = await house.types("dlq", "ls", "-o", "jsonl")
        house.sink.refuse = taking
        await house.settles()

    assert dropped.stderr == "2 dead letters thrown away.\n"
    assert [json.loads(x)["id"] for x in listed.stdout.splitlines()] == [f"{KEY}#2"]
    assert house.sink.ids == []


@pytest.mark.parametrize("verb", ["replay", "drop"])
@pytest.mark.parametrize("body", [{"all": False}, {"all": True, "ids": ["x"]}])
async def test_which_letters_are_meant_must_be_said(
    tmp_path: Path, verb: str, body: dict[str, Any]
) -> None:
    async with a_house(tmp_path) as house:
        answer = await ask(house.socket, "POST", f"/dlq/{verb}", json=body)
        said = await house.types("dlq", verb)

    assert answer.status == 400
    assert "all: true" in answer.body["detail"]
    assert said.code == 2
    assert "--all" in said.stderr


async def test_where_there_are_no_letters_that_is_said(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        said = await house.types("dlq", "ls")

    assert (said.code, said.stdout) == (0, "")
    assert said.stderr == "There are no dead letters.\n"


# Replays.


async def told(house: House, number: int) -> None:
    delivery = a_delivery(a_notification(number))
    await house.store.tell(
        [
            Notice(
                group=KEY,
                number=number,
                tellings=[Telling(sink="oncall", told=None, delivery=delivery)],
            )
        ]
    )
    house.dispatching.wake()


async def test_what_was_sent_since_then_is_sent_again_under_its_ids(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        await house.records(3)
        await house.settles()
        only_counted = await house.types(
            "replay", "--sink", "oncall", "--since", "1h", "--dry-run"
        )
        await house.settles()
        before = list(house.sink.ids)
        again = await house.types("replay", "--sink", "oncall", "--since", "1h")
        await house.settles()

    assert only_counted.stdout == "would send 3 events, 0 notifications\n"
    assert before == [f"{KEY}#{number}" for number in (1, 2, 3)]
    assert again.stdout == "on the way: 3 events, 0 notifications\n"
    assert house.sink.ids == before * 2


async def test_notifications_that_arrived_are_sent_again_as_well(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        await told(house, 1)
        await told(house, 2)
        await house.settles()
        since = a_notification().time - timedelta(minutes=1)
        done = await house.ask(
            "POST", "/replay", sink="oncall", since=since.isoformat()
        )
        await house.settles()

    assert done == {"events": 0, "notifications": 2, "already": 0}
    assert house.sink.ids == [f"{KEY}!1", f"{KEY}!2"] * 2


async def test_only_what_lies_within_the_time_and_fits_is_sent_again(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        await house.records(3)
        await house.settles()
        whole = {"sink": "oncall", "since": (clock.utc_now() - DAY).isoformat()}
        sre = await house.ask("POST", "/replay", **whole, match=["team=sre"], dry=True)
        dba = await house.ask("POST", "/replay", **whole, match=["team=dba"], dry=True)
        until = (clock.utc_now() - timedelta(hours=1)).isoformat()
        early = await house.ask("POST", "/replay", **whole, until=until, dry=True)

    assert [sre["events"], dba["events"], early["events"]] == [3, 0, 0]


async def test_what_waits_anyway_is_not_sent_twice(tmp_path: Path) -> None:
    def down(_: Message) -> Exception:
        return errors.Undelivered("503")

    async with a_house(tmp_path, down) as house:
        await house.records(3)
        await house.settles()
        said = await house.types("replay", "--sink", "oncall", "--since", "1h")

    assert said.stdout == (
        "on the way: 3 events, 0 notifications; 3 of them were on it already\n"
    )


async def test_more_than_may_wait_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with a_house(tmp_path, max_backlog=2) as house:
        await house.records(3)
        await house.settles()
        said = await house.types("replay", "--sink", "oncall", "--since", "1h")
        await house.settles()

    assert said.code == 1
    assert "narrow it" in said.stderr
    assert len(house.sink.ids) == 3


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--sink", "nobody", "--since", "1h"], 6, "there are: oncall"),
        (["--sink", "oncall", "--since", "yesterday"], 2, "neither a duration"),
        (["--sink", "oncall", "--since", "1h", "-m", "team"], 2, "match"),
    ],
)
async def test_what_cannot_be_replayed_is_said_with_what_would_be_right(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    async with a_house(tmp_path) as house:
        done = await house.types("replay", *words)

    assert done.code == code
    assert said in done.stderr


async def test_a_time_without_a_zone_is_refused_by_the_api(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        answer = await ask(
            house.socket,
            "POST",
            "/replay",
            json={"sink": "oncall", "since": "2026-11-27T08:00:00"},
        )

    assert answer.status == 400
    assert "zone" in answer.body["detail"]
