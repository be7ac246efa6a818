"""Why somebody was told, or was not, as a running daemon tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import control
from tests.support.control import typed
from tests.test_service import (
    FAILING,
    KEY,
    LISTED,
    Site,
    Stage,
    a_site,
    eventually,
    playing,
)

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

SINKS = [
    {"name": "journal", "kind": "log", "send": ["events"]},
    {"name": "sre", "kind": "log", "send": ["events", "alerts"], "match": ["team=sre"]},
    {"name": "dba", "kind": "log", "send": ["events", "alerts"], "match": ["team=dba"]},
    {
        "name": "hook",
        "kind": "webhook",
        "url": "http://127.0.0.1:9/",
        "allow_networks": ["127.0.0.1/32"],
        "send": ["events", "alerts"],
    },
]

STORMY = {"messages": 1, "per": "1s"}


@asynccontextmanager
async def a_failure(tmp_path: Path) -> AsyncIterator[tuple[Site, Stage, Path]]:
    """Serve until a failure was told of."""
    async with a_site(tmp_path) as (site, world):
        site.more["sinks"] = SINKS
        world.play("one_ip_fails")
        site.second = FAILING
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)
            yield site, stage, tmp_path / "m.sock"


async def explained(path: Path, of: str, **query: str) -> dict[str, Any]:
    answer = await control.ask(path, "GET", "/explain", params={"of": of, **query})
    assert answer.status == 200, answer.body
    return dict(answer.body)


def by_sink(sinks: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["sink"]: each for each in sinks}


async def test_an_event_says_of_each_sink_what_became_of_it(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, stage, path):
        await eventually_reads(path)
        found = await explained(path, f"{LISTED}#2")

    sinks = by_sink(found["sinks"])
    assert (found["kind"], found["of"]) == ("event", f"{KEY}#2")
    assert found["type"] == stage.events[1].type
    assert {name: sink["reason"] for name, sink in sinks.items()} == {
        "journal": "delivered",
        "sre": "delivered",
        "dba": "unmatched",
        "hook": "behind",
        "guest": "delivered",
    }
    assert sinks["dba"]["detail"] == 'team="dba"'
    assert sinks["hook"]["delivery"]["behind"] == f"{KEY}#1"


async def eventually_reads(path: Path) -> None:
    """Wait until every sink has read the second event."""
    while any(
        sink["reason"] == "unread"
        for sink in (await explained(path, f"{LISTED}#2"))["sinks"]
    ):
        continue


async def test_what_a_match_left_out_stays_left_out_after_a_reload(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (site, _, path):
        await eventually_reads(path)
        journal, sre, dba, _ = SINKS
        site.more["sinks"] = [journal, sre, {**dba, "match": []}]
        await control.reload(path)
        found = await explained(path, f"{KEY}#2")

    sinks = by_sink(found["sinks"])
    assert sinks["dba"]["reason"] == "unmatched"
    assert sinks["sre"]["reason"] == "delivered"
    assert sinks["hook"]["reason"] == "behind"
    assert sinks["hook"]["detail"] == "it is configured no more"


async def test_an_event_says_which_sinks_take_none_and_which_came_later(
    tmp_path: Path,
) -> None:
    quiet = {"name": "pager", "kind": "log", "send": ["alerts"]}
    async with a_site(tmp_path) as (site, world):
        site.more["sinks"] = [*SINKS[:2], quiet]
        world.play("one_ip_fails")
        site.second = FAILING
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)
            path = tmp_path / "m.sock"
            await eventually_reads(path)
            late = {**SINKS[0], "name": "late"}
            site.more["sinks"] = [*SINKS[1:2], quiet, late]
            await control.reload(path)
            event = await explained(path, f"{KEY}#2")
            told = await explained(path, f"{KEY}!1")

    of_event = by_sink(event["sinks"])
    assert of_event["pager"]["reason"] == "not_taken"
    assert of_event["pager"]["detail"] == "send: [alerts]"
    assert of_event["late"]["reason"] == "later"
    assert of_event["journal"]["detail"] == "it is configured no more"
    assert {name: x["reason"] for name, x in by_sink(told["sinks"]).items()} == {
        "late": "later"
    }


async def test_people_read_of_which_incidents_a_message_tells(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        site.more |= {"sinks": SINKS[1:2], "alerts": {"storm": STORMY}}
        site.list.write_text(
            "".join(f"{world.play('one_ip_fails')} team=sre\n" for _ in range(5))
        )
        site.second = FAILING
        async with playing(site) as stage:
            await eventually(lambda: len(stage.notifications) == 2)
            path = str(tmp_path / "m.sock")
            said = await typed("explain", "prod/{storm}!1", "--socket", path)

    assert "4 incidents; prod/{storm}!1; delivered" in said.stdout
    assert said.stdout.count(" about prod/biz/2/") == 4


async def test_a_notification_says_who_was_told_and_how_far_it_has_come(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, _, path):
        found = await explained(path, f"{KEY}!1")

    [group] = found["groups"]
    [verdict] = group["verdicts"]
    sinks = by_sink(verdict["sinks"])
    assert (found["kind"], group["group"]) == ("notification", KEY)
    assert sinks["sre"]["said"] == "the first message about it"
    assert sinks["sre"]["route"] == "default"
    assert sinks["hook"]["delivery"]["state"] == "waiting"
    assert (sinks["dba"]["told"], sinks["dba"]["reason"]) == (False, "unrouted")
    assert sinks["dba"]["detail"] == 'its match does not fit: team="dba"'


async def test_an_instance_says_what_holds_and_what_was_decided_about_it(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, _, path):
        found = await explained(path, LISTED, limit="1")

    assert (found["kind"], found["of"]) == ("key", KEY)
    assert [alert["name"] for alert in found["alerts"]] == ["hosts_failed"]
    [group] = found["groups"]
    assert by_sink(group["verdicts"][0]["sinks"])["sre"]["notification"] == f"{KEY}!1"


async def test_a_group_of_several_says_what_was_decided_about_all_of_them(
    tmp_path: Path,
) -> None:
    group = 'prod/{team="sre"}'
    async with a_site(tmp_path) as (site, world):
        site.more |= {"sinks": SINKS[:2], "alerts": {"group_by": ["team"]}}
        world.play("one_ip_fails")
        site.second = FAILING
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)
            several = await explained(tmp_path / "m.sock", group)
            one = await explained(tmp_path / "m.sock", KEY)

    assert several["kind"] == "group"
    assert [alert["key"] for alert in several["alerts"]] == [KEY]
    assert [found["group"] for found in one["groups"]] == [group]
    assert one["groups"] == several["groups"]


async def test_who_stands_in_for_another_is_asked_about_with_it(
    tmp_path: Path,
) -> None:
    standby = {"name": "standby", "kind": "log", "send": ["alerts"]}
    async with a_site(tmp_path) as (site, world):
        nowhere = f"{site.sources['prod']['url']}/nowhere"  # answers 404
        hook = {**SINKS[3], "url": nowhere, "send": ["alerts"], "fallback": "standby"}
        site.more["sinks"] = [hook, standby]
        world.play("one_ip_fails")
        site.second = FAILING
        path = tmp_path / "m.sock"
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)
            found = await explained(path, f"{KEY}!1", sink="standby")
            while len(found["groups"][0]["verdicts"][0]["sinks"]) < 2:
                found = await explained(path, f"{KEY}!1", sink="standby")

    sinks = by_sink(found["groups"][0]["verdicts"][0]["sinks"])
    assert sinks["hook"]["delivery"]["passed_on"] == "standby"
    assert sinks["standby"]["detail"] == "no route leads to it"


async def test_one_sink_may_be_asked_about_alone_and_in_another_language(
    tmp_path: Path,
) -> None:
    async with a_failure(tmp_path) as (_, _, path):
        found = await explained(path, f"{KEY}!1", sink="sre", locale="zh-CN")
        wrong = await control.ask(
            path, "GET", "/explain", params={"of": KEY, "sink": "nobody"}
        )

    [sink] = found["groups"][0]["verdicts"][0]["sinks"]
    assert (sink["sink"], sink["said"]) == ("sre", "首次通知")
    assert wrong.status == 404
    assert "there are: journal, sre, dba, hook, guest" in wrong.body["detail"]


@pytest.mark.parametrize(
    ("of", "status", "said"),
    [
        ("", 400, "give the id of an event"),
        ("x" * 2000, 400, "give the id of an event"),
        (f"{KEY}#99", 404, f"no event {KEY}#99 is on record"),
        (f"{KEY}!99", 404, f"no notification {KEY}!99 is on record"),
        ("prod/biz/2/1", 404, "nothing is known of prod/biz/2/1; give the id"),
        ("gibberish", 404, "nothing is known of gibberish; give the id"),
    ],
)
async def test_what_nothing_is_known_of_says_what_may_be_asked(
    tmp_path: Path, of: str, status: int, said: str
) -> None:
    async with a_failure(tmp_path) as (_, _, path):
        answer = await control.ask(path, "GET", "/explain", params={"of": of})

    assert answer.status == status
    assert said in answer.body["detail"]


async def test_people_read_it_a_line_for_each_sink(tmp_path: Path) -> None:
    async with a_failure(tmp_path) as (_, _, path):
        await eventually_reads(path)
        level = await typed("explain", LISTED, "--socket", str(path))
        event = await typed("explain", f"{LISTED}#2", "--socket", str(path))
        nothing = await typed("explain", "prod", "--socket", str(path))
        unknown = await typed("explain", "2/7", "--socket", str(path))

    lines = [" ".join(line.split()) for line in level.stdout.splitlines()]
    assert lines[0] == f"{KEY} one_ip_fails"
    assert lines[1].startswith("critical hosts_failed for ")
    assert (
        f"sre told the first message about it; {KEY}!1; delivered; route default"
        in lines
    )
    assert (
        "dba not told it is not meant for this sink: its match does not fit:"
        ' team="dba"' in lines
    )
    assert 'dba      not told  its match leaves it out: team="dba"' in event.stdout
    assert f"hook     not yet   waits behind another message: {KEY}#1" in event.stdout
    assert nothing.stdout == "prod\nNothing is wrong with it now.\n"
    assert (unknown.code, unknown.stdout) == (6, "")
