"""``add``, ``rm`` and ``pause``, typed to a daemon at work on a simulated JOB."""

import signal
from pathlib import Path
from typing import Any

from tests.cli.house import KEY, House, at_work
from tests.e2e.daemon import running

FAILS: dict[str, Any] = {"scenario": "one_ip_fails"}
OVER = 100.0
SECOND = "prod/biz/2/20000154"


async def watched(house: House, *, origin: str = "api") -> list[dict[str, Any]]:
    found = await house.answer("GET", f"/watches?origin={origin}")
    assert isinstance(found, dict)
    return list(found["items"])


async def test_what_is_added_is_watched_with_its_labels_and_options(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        house.site.watch()
        await house.comes(lambda listed: not listed, "ls")
        said = await house.typed(
            "add", "2/20000153", "team=dba", "--severity", "warning", "--settle", "1h",
            "--author", "alice", "--comment", "release 4.2",
        )  # fmt: skip
        house.now = OVER
        await house.sees("failed")
        shown = await house.typed("get", KEY)
        raised = await house.given("events", "--type", "alert.raised")
        [watch] = await watched(house)

    assert (said.code, said.stdout) == (0, f"{KEY}\n")
    assert said.stderr == "It is watched.\n"
    assert "  watched by alice (added), team=dba, severity warning, settle 1h" in (
        shown.stdout
    )
    assert "  because: release 4.2" in shown.stdout
    assert {event["data"]["alert"]["severity"] for event in raised} == {"warning"}
    assert (watch["origin"], watch["place"]) == ("api", "api")


async def test_an_added_watch_survives_a_reload_and_a_restart(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        house.site.watch()
        await house.comes(lambda listed: not listed, "ls")
        await house.typed("add", "2/20000153")
        house.site.settings["retention"] = "80d"
        house.site.write()
        house.daemon.signal(signal.SIGHUP)
        await house.daemon.reaches(
            lambda: len(house.daemon.said("service.started")) == 2, "it reloads"
        )
        reloaded = await watched(house)
        await house.daemon.stop()
        with running(house.site.config):
            house.now = OVER
            await house.sees("failed")
            restarted = await watched(house)

    assert [watch["key"] for watch in reloaded] == [KEY]
    assert restarted == reloaded


async def test_a_file_wins_over_what_was_added_and_gives_it_back(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        house.site.watch()
        await house.comes(lambda listed: not listed, "ls")
        await house.typed("add", "2/20000153", "team=dba")
        await house.comes(lambda one: one["seen_at"], "get", KEY)
        before = await house.given("events", KEY)
        house.site.watch("2/20000153 team=sre")
        filed = await house.comes(
            lambda one: one["watch"]["origin"] == "file", "get", KEY
        )
        house.site.watch()
        again = await house.comes(
            lambda one: one["watch"]["origin"] == "api", "get", KEY
        )
        after = await house.given("events", KEY)

    assert filed["watch"]["labels"] == {"team": "sre"}
    assert again["watch"]["labels"] == {"team": "dba"}
    assert after == before


async def test_what_a_file_names_can_be_neither_added_nor_removed(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        added = await house.typed("add", "2/20000153")
        removed = await house.typed("rm", "2/20000153")
        unknown = await house.typed("rm", "2/1")

    place = f"{house.site.watch_list}:1"
    assert (added.code, removed.code, unknown.code) == (1, 1, 6)
    assert added.stderr == f"Error: {place} has {KEY} already: change it there\n"
    assert f"{KEY} stands in {place}: take it out there" in removed.stderr
    assert unknown.stderr == "Error: nobody watches prod/biz/2/1\n"


async def test_removing_ends_a_watch_as_taking_out_a_line_does(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        house.site.watch()
        await house.comes(lambda listed: not listed, "ls")
        await house.typed("add", "2/20000153")
        house.now = OVER
        await house.sees("failed")
        said = await house.typed("rm", "2/20000153")
        left = await house.comes(lambda listed: not listed, "ls")
        [gone] = await house.given("ls", "--phase", "unwatched")
        alerts = await house.given("alerts")
        added = await watched(house)

    assert (said.code, said.stderr) == (0, f"{KEY} is watched no more.\n")
    assert (left, alerts, added) == ([], [], [])
    assert gone["key"] == KEY


async def test_an_added_watch_ends_with_its_instance(tmp_path: Path) -> None:
    polling = {"min_interval": "100ms", "max_interval": "300ms", "settle": "5s"}
    async with at_work(tmp_path, FAILS, polling=polling) as house:
        house.site.watch()
        await house.comes(lambda listed: not listed, "ls")
        await house.typed("add", "2/20000153")
        house.now = OVER
        await house.comes(
            lambda listed: len(listed) == 1, "ls", "--phase", "unwatched",
            "--meaning", "failed",
        )  # fmt: skip
        await house.daemon.says("watch.added")
        left = await watched(house)
        again = await house.typed("add", "2/20000153")
        await house.sees("failed")

    assert left == []
    assert again.code == 0


async def test_what_is_no_watch_is_wrong_usage(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        words = [
            ("lab/2/7",),
            ("seven",),
            ("2/7", "team"),
            ("2/7", "a=1", "a=2"),
            ("2/7", "severity=high"),
            ("2/7", "--settle", "30"),
            ("2/7", "--until", "2020-01-01T00:00"),
        ]
        said = [await house.typed("add", *each) for each in words]

    assert {one.code for one in said} == {2}
    assert "unknown source 'lab'; configured: prod" in said[0].stderr
    assert "'team' is no label; write name=value" in said[2].stderr
    assert "'severity' is reserved" in said[4].stderr
    assert "it is over by now" in said[6].stderr


async def test_a_paused_instance_is_not_looked_at_and_keeps_its_state_and_alerts(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS, {"scenario": "hang"}) as house:
        house.now = 3.0
        await house.comes(lambda one: one["failed"] == 1, "get", KEY)
        said = await house.typed(
            "pause", "2/20000153", "--comment", "move", "--author", "bob"
        )
        polls = house.polls(20000153)
        house.now = OVER
        await house.looks(20000154, 5)
        paused = await house.given("get", KEY)
        shown = await house.typed("get", KEY)
        listed = await house.typed("ls")
        alerts = await house.given("alerts")
        summed = await house.typed("status")
        unlooked = house.polls(20000153) - polls
        ended = await house.typed("pause", KEY, "--end")
        await house.sees("failed")

    assert (said.code, ended.code) == (0, 0)
    assert said.stdout.splitlines()[1].split()[0] == KEY
    assert unlooked <= 1  # one may have been under way
    assert (paused["paused"], paused["next_at"]) == (True, None)
    assert paused["meaning"] == "running"
    assert [alert["key"] for alert in alerts] == [KEY]
    assert "  paused by bob until somebody ends it: move\n" in shown.stdout
    assert any(
        "running, paused" in line and KEY in line for line in listed.stdout.splitlines()
    )
    assert "1 paused" in summed.stdout.splitlines()[1]


async def test_a_pause_survives_restarts_and_ends_when_it_is_time(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        await house.typed("pause", KEY)
        await house.daemon.stop()
        house.now = OVER
        with running(house.site.config):
            listed = await house.comes(bool, "pause")
            before = await house.given("get", KEY)
            await house.typed("pause", KEY, "--for", "1s")
            await house.sees("failed")
            after = await house.typed("pause")

    assert [one["key"] for one in listed] == [KEY]
    assert (before["meaning"], before["paused"]) == ("waiting", True)
    assert after.stderr == "Nothing is paused.\n"


async def test_a_pause_is_neither_the_end_of_a_watch_nor_a_lost_source(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS, {"scenario": "hang"}) as house:
        await house.typed("pause", KEY)
        await house.typed("pause", SECOND)
        before = len(await house.given("events"))
        house.site.watch("2/20000153 team=dba", "2/20000154")
        await house.comes(
            lambda one: one["watch"]["labels"] == {"team": "dba"}, "get", KEY
        )
        said = await house.given("status")
        phases = [one["phase"] for one in await house.given("ls")]
        after = len(await house.given("events"))

    assert said["sources"][0]["standing"] == "seen"
    assert said["status"]["paused"] == 2
    assert phases == ["watched", "watched"]
    assert after == before


async def test_a_pause_of_what_is_removed_is_forgotten_with_it(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        await house.typed("pause", KEY)
        house.site.watch()
        await house.comes(lambda listed: not listed, "ls")
        house.site.watch("2/20000153")
        house.now = OVER
        await house.sees("failed")
        said = await house.typed("pause")

    assert said.stderr == "Nothing is paused.\n"


async def test_who_is_not_watched_cannot_be_paused_and_who_is_not_paused_not_resumed(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        unknown = await house.typed("pause", "2/1")
        awake = await house.typed("pause", KEY, "--end")
        unclear = await house.typed("pause", KEY, "--end", "--for", "2h")
        late = await house.typed("pause", KEY, "--until", "2020-01-01T00:00")
        nobody = await house.typed("pause", "--for", "2h")

    assert [unknown.code, awake.code] == [6, 6]
    assert [unclear.code, late.code, nobody.code] == [2, 2, 2]


async def test_a_list_does_not_bring_a_paused_instance_back(tmp_path: Path) -> None:
    polling = {"min_interval": "100ms", "max_interval": "300ms", "sweep": "on"}
    stories = [FAILS, *[{"scenario": "hang"}] * 4]
    async with at_work(tmp_path, *stories, api="gateway-v3", polling=polling) as house:
        await house.typed("pause", KEY)
        polls = house.polls(20000153)
        house.now = OVER
        await house.looks(20000154, 5)
        unlooked = house.polls(20000153) - polls

    assert unlooked <= 1
