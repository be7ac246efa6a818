"""What the daemon answers about instances, events, watches, sources: asked for real."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.lowlevel
import msgspec
import pytest

from monitor import logs
from monitor.core.model import HostId, Step
from monitor.web.api import asked, instances
from monitor.web.api.asked import Span
from tests.support import control
from tests.test_service import FINISHED, KEY
from tests.web.test_control import a_failure

pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature


async def body(socket: Path, path: str) -> Any:
    answer = await control.ask(socket, "GET", path)
    assert answer.status == 200, answer
    return answer.body


async def refused(socket: Path, path: str) -> tuple[int, str]:
    answer = await control.ask(socket, "GET", path)
    return answer.status, answer.body["detail"]


async def test_an_instance_is_listed_with_what_is_wrong(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        [listed] = (await body(socket, "/instances"))["items"]

    assert (listed["key"], listed["meaning"]) == (KEY, "running")
    assert (listed["failed"], listed["severity"]) == (1, "critical")
    assert listed["alerts"] == ["hosts_failed"]
    assert listed["labels"] == {"team": "sre"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("meaning=running", 1),
        ("meaning=failed", 0),
        ("meaning=failed&meaning=running", 1),
        ("severity=warning", 1),
        ("severity=critical", 1),
        ("severity=critical&meaning=succeeded", 0),
        ("below=prod", 1),
        ("below=prod/biz/3", 0),
        ("phase=retired", 0),
        ("phase=any&sort=failed&limit=1", 1),
        ("match=team%3Dsre&match=severity%3Dcritical", 1),
        ("match=team%3Ddba", 0),
        ("q=no-such-name", 0),
    ],
)
async def test_the_list_is_narrowed_as_asked(
    tmp_path: Path, query: str, found: int
) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        listed = await body(socket, f"/instances?{query}")

    assert len(listed["items"]) == found
    assert listed["next"] is None


HUGE_POSITION = asked.place_text(msgspec.Raw(b"9" * 30))
HUGE_PLACE = asked.place_text([msgspec.Raw(b"9" * 30), ""])


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/instances?meaning=broken", "meaning: write one of"),
        ("/instances?sort=luck", "sort: write one of worst, changed"),
        ("/instances?severity=mild", "severity: write one of warning, critical"),
        ("/instances?phase=new", "phase: write one of"),
        ("/instances?after=WzFd", "after: give what another page named"),
        ("/instances?after=W3RydWUsImEiXQ&sort=failed", "after: give what another"),
        (f"/instances?after={HUGE_PLACE}&sort=failed", "after: give what another"),
        (f"/events?after={HUGE_POSITION}", "after: give what another page"),
        ("/events?type=job.begun", "type: 'job.begun' is none of instance.appeared"),
        ("/events?since=yesterday", "since: "),
        ("/events?since=2026-11-23T10:00:00", "since: say in which zone"),
        ("/events?oldest_first=perhaps", "oldest_first: write true or false"),
        ("/stream?after=-1", "after: give the id of an event"),
    ],
)
async def test_what_cannot_be_meant_is_refused_with_what_could(
    tmp_path: Path, path: str, why: str
) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        status, detail = await refused(socket, path)

    assert status == 400
    assert detail.startswith(why)


async def test_an_instance_is_shown_with_its_steps_and_hosts(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        shown = await body(socket, f"/instances/{KEY}")
        [step] = shown["steps"]
        number = step["step_instance_id"]
        hosts = await body(socket, f"/instances/{KEY}/steps/{number}/hosts")
        failed = await body(
            socket, f"/instances/{KEY}/steps/{number}/hosts?standing=failed"
        )

    assert shown["watch"]["place"].endswith(":1")
    assert shown["seen_at"]
    assert [each["name"] for each in shown["problems"]] == ["hosts_failed"]
    assert step["failed"] == 1
    assert sum(each["hosts"] for each in step["counts"]) == step["hosts"]
    assert len(hosts["items"]) == step["hosts"]
    assert hosts["items"][0] == failed["items"][0]
    assert [(h["ip"], h["failed_in"]) for h in failed["items"]] == [("10.0.0.5", 0)]


async def test_pages_of_hosts_join_to_all_of_them(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        [step] = (await body(socket, f"/instances/{KEY}"))["steps"]
        path = f"/instances/{KEY}/steps/{step['step_instance_id']}/hosts?limit=2"
        found: list[str] = []
        more = ""
        while True:
            page = await body(socket, path + more)
            found += [host["ip"] for host in page["items"]]
            if page["next"] is None:
                break
            more = f"&after={page['next']}"

    assert found[0] == "10.0.0.5"
    assert sorted(found) == [f"10.0.0.{number}" for number in range(1, 6)]


async def test_hosts_are_in_the_order_of_their_addresses_the_failed_ones_first() -> (
    None
):
    numbers = (10, 9, 100, 2, 1)
    step = Step(
        step_instance_id=7,
        status=4,
        hosts={HostId(f"0:10.0.0.{n}"): 11 if n == 100 else 9 for n in numbers},
    )
    pages: list[str | None] = []
    after: Any = None
    for _ in numbers:
        page = await instances.page_of_hosts(step, None, Span(1, after), "en")
        pages += [host.ip for host in page.items]
        after = asked.read_place(page.next, tuple[int, str]) if page.next else None

    assert pages == [f"10.0.0.{n}" for n in (100, 1, 2, 9, 10)]
    assert after is None


async def test_others_have_their_turn_while_very_many_hosts_are_sorted() -> None:
    hosts = {HostId(f"0:10.0.{n // 250}.{n % 250}"): 9 for n in range(50_000)}
    step = Step(step_instance_id=7, status=3, hosts=hosts)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as others:
        others.start_soon(count)
        page = await instances.page_of_hosts(step, None, Span(3), "en")
        others.cancel_scope.cancel()

    assert [host.ip for host in page.items] == ["10.0.0.0", "10.0.0.1", "10.0.0.2"]
    assert turns > 10


@pytest.mark.parametrize(
    "path",
    [
        "/instances/prod/biz/2/99",
        "/instances/prod/biz/2/x",
        "/instances/prod/galaxy/2/9",
        f"/instances/{KEY}/steps/1/hosts",
        "/instances/prod/biz/2/99/steps/1/hosts",
    ],
)
async def test_what_is_not_known_is_not_found(tmp_path: Path, path: str) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        status, _ = await refused(socket, path)

    assert status == 404


async def test_events_are_listed_of_one_of_some_types_with_some_labels(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, stage, socket):
        everything = (await body(socket, "/events?oldest_first=true"))["items"]
        short = await body(socket, "/events?key=2/20000153&type=hosts.failed")
        alerts = await body(socket, "/events?type=alert&match=team%3Dsre")
        others = await body(socket, "/events?match=team%3Ddba")
        first = await body(socket, "/events?limit=1&oldest_first=true")
        rest = await body(
            socket, f"/events?oldest_first=true&limit=50&after={first['next']}"
        )
        told = [event.id for event in stage.events]

    assert [each["id"] for each in everything][: len(told)] == told
    assert [each["type"] for each in short["items"]] == ["bkjob.hosts.failed"]
    assert {each["type"] for each in alerts["items"]} == {"bkjob.alert.raised"}
    assert others["items"] == []
    assert [first["items"][0], *rest["items"]] == everything


async def test_all_of_it_is_summed_up(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        found = await body(socket, "/status")

    assert (found["watches"], found["unseen"]) == (1, 0)
    assert found["instances"]["running"] == 1
    assert found["problems"] == {"warning": 0, "critical": 1}
    assert (found["failed"], found["hosts"]) == (1, 5)
    assert (found["sources"], found["sources_lost"]) == (1, 0)


async def test_watches_and_their_lists_are_named(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        [watch] = (await body(socket, "/watches?match=team%3Dsre"))["items"]
        nobody = await body(socket, "/watches?match=team%3Ddba")
        [file] = (await body(socket, "/watch-lists"))["items"]

    assert (watch["key"], watch["origin"]) == (KEY, "file")
    assert nobody["items"] == []
    assert (file["watches"], file["faults"]) == (1, [])


async def test_sources_say_how_they_are_seen(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        [source] = (await body(socket, "/sources"))["items"]

    assert (source["name"], source["standing"]) == ("prod", "seen")
    assert source["requests"]["ok"] > 0
    assert source["watches"] == 1


async def test_the_configuration_shows_no_secret(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        shown = await body(socket, "/config")

    assert shown["sources"]["prod"]["api"]
    assert shown["sources"]["prod"]["access_token"] == logs.HIDDEN


# The stream.


@asynccontextmanager
async def stream(socket: Path, query: str = "", **headers: str) -> AsyncIterator[Any]:
    connector = aiohttp.UnixConnector(str(socket))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"{control.ROOT}/stream{query}", headers=headers) as response,
    ):
        assert response.content_type == "text/event-stream"
        with anyio.fail_after(30):
            yield response.content


async def heard(content: Any, most: int) -> list[tuple[str, Any]]:
    """Read *most* events: their ids in the stream, and what they say."""
    found: list[tuple[str, Any]] = []
    id_ = ""
    while len(found) < most:
        name, _, value = (await content.readline()).decode().strip().partition(": ")
        if name == "id":
            id_ = value
        elif name == "data":
            found.append((id_, json.loads(value)))
    return found


async def test_events_are_followed_from_the_beginning_and_as_they_happen(
    tmp_path: Path,
) -> None:
    async with (
        a_failure(tmp_path) as (site, stage, socket),
        stream(socket, "?after=0") as content,
    ):
        before = await heard(content, len(stage.events))
        site.second = FINISHED
        await stage.tells("instance.finished")
        after = await heard(content, 1)

    assert [event["id"] for _, event in (*before, *after)] == [
        f"{KEY}#{number}" for number in range(1, len(before) + 2)
    ]
    assert before[0][1]["type"] == "bkjob.instance.appeared"
    assert before[0][1]["specversion"] == "1.0"


async def test_a_stream_that_broke_goes_on_behind_what_was_heard(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, _, socket):
        async with stream(socket, "?after=0") as content:
            [(first, _), (_, second)] = await heard(content, 2)
        async with stream(socket, **{"Last-Event-ID": first}) as content:
            [(_, again)] = await heard(content, 1)

    assert again == second


async def test_only_what_was_asked_for_is_heard(tmp_path: Path) -> None:
    query = "?after=0&type=hosts&key=2/20000153&match=team%3Dsre"
    async with (
        a_failure(tmp_path) as (_, _, socket),
        stream(socket, query) as content,
    ):
        [(_, event)] = await heard(content, 1)

    assert event["type"] == "bkjob.hosts.failed"


async def test_a_daemon_that_stops_hangs_up(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, stage, socket), stream(socket) as content:
        await stage.stop()
        rest = await content.read()

    assert rest.endswith(b"\n\n")
