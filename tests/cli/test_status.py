"""``job-monitor status`` and ``ls``, of a daemon at work on a simulated JOB."""

import json
from pathlib import Path

from monitor.simulator.faults import Fault, Name
from tests.cli.house import KEY, at_work
from tests.e2e.daemon import running
from tests.e2e.waiting import until
from tests.support import terminal
from tests.support.terminal import CTRL_C

FAILS = {"scenario": "one_ip_fails"}
OVER = 100.0


async def test_one_screen_says_what_is_watched_wrong_lost_and_behind(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS, {"scenario": "hang"}) as house:
        house.now = OVER
        await house.sees("failed")
        said = await house.typed("status")

    lines = said.stdout.splitlines()
    assert (said.code, said.stderr) == (0, "")
    assert lines[0].startswith("Job Monitor ")
    assert lines[1:] == [
        "watching  2: 1 running, 1 failed",
        "problems  1 critical; 1 of 10 hosts failed",
        lines[3],
        "sinks     journal  well",
    ]
    assert lines[3].startswith("sources   prod  seen for ")


async def test_a_lost_source_says_since_when_and_why(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"scenario": "hang"}) as house:
        house.world.switch([Fault(name=Name.SERVER_ERROR)])
        await house.comes(lambda said: said["status"]["sources_lost"], "status")
        await house.comes(lambda said: said["sources"][0]["cause"], "status")
        said = await house.typed("status")

    assert said.code == 0
    assert "\nsources   prod  lost for " in said.stdout
    assert ": unreachable  esb-v2, 1 watch\n" in said.stdout


async def test_faults_of_watch_lists_are_shown_with_their_place(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"scenario": "hang"}) as house:
        house.site.watch("2/20000153", "nonsense")
        await house.comes(lambda said: said["lists"], "status")
        said = await house.typed("status")

    place = house.site.watch_list
    assert f"\nlists     {place}:2:1: 'nonsense' is not" in said.stdout


async def test_programs_get_all_of_it_as_one_object(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        said = await house.given("status")

    assert said["status"]["watches"] == 1
    assert [source["name"] for source in said["sources"]] == ["prod"]
    assert [sink["name"] for sink in said["sinks"]] == ["journal"]
    assert said["lists"] == []


async def test_the_live_screen_moves_with_the_job_survives_a_restart_and_ends_well(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        command = ("status", "--watch", "--socket", str(house.socket))
        with terminal.typing(*command) as screen:
            await screen.shows("problems  none")
            house.now = OVER
            await screen.shows("problems  1 critical; 1 of 5 hosts failed")
            await screen.shows(KEY)
            await house.daemon.stop()
            await screen.shows("no daemon listens at")
            with running(house.site.config):
                await screen.shows("up for")
                await screen.shows(KEY)
                screen.press(CTRL_C)
                code = await screen.ended()

    assert code == 0


async def test_a_small_terminal_is_never_scrolled(tmp_path: Path) -> None:
    stories = [{**FAILS, "id": 20000153 + n} for n in range(9)]
    async with at_work(tmp_path, *stories) as house:
        house.now = OVER
        await house.sees("failed", len(stories))
        command = ("status", "--watch", "--socket", str(house.socket))
        with terminal.typing(*command, lines=10, columns=60) as screen:
            await screen.shows("prod/biz/2/")
            screen.press(CTRL_C)
            assert await screen.ended() == 0
            lines = screen.last_frame

    assert len(lines) <= 10
    assert max(map(len, lines)) <= 60


async def test_without_a_terminal_it_says_what_to_do_instead(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        said = await house.typed("status", "--watch")

    assert said.code == 2
    assert "-o jsonl prints a line for each change" in said.stderr


async def test_a_program_that_watches_gets_a_line_for_each_change(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        out = tmp_path / "status.jsonl"
        command = ("status", "--watch", "-o", "jsonl", "--socket", str(house.socket))
        with terminal.writing(out, *command):
            await until(lambda: bool(out.read_bytes()), "the first line")
            house.now = OVER
            await until(lambda: b'"failed":1,' in out.read_bytes(), "the change")

    first, *_, last = [json.loads(line) for line in out.read_text().splitlines()]
    assert first["status"]["problems"]["critical"] == 0
    assert last["status"]["instances"]["failed"] == 1
