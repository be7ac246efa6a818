"""``job-monitor events``, of a daemon at work on a simulated JOB."""

import json
import signal
from pathlib import Path
from typing import Any

from tests.cli.house import KEY, House, at_work
from tests.e2e.daemon import running
from tests.e2e.waiting import until
from tests.support import terminal

FAILS = {"scenario": "one_ip_fails"}
OVER = 100.0


def read(path: Path) -> list[dict[str, Any]]:
    whole, newline, _ = path.read_bytes().rpartition(b"\n")
    return [json.loads(line) for line in (whole + newline).splitlines()]


async def test_what_was_recorded_of_an_instance_is_listed_the_newest_last(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS, {"scenario": "hang"}) as house:
        house.now = OVER
        await house.sees("failed")
        people = await house.typed("events", "2/20000153")
        program = await house.given("events", "2/20000153")

    lines = people.stdout.splitlines()
    assert (people.code, people.stderr) == (0, "")
    assert lines[0].endswith(f"instance.appeared  {KEY}  one_ip_fails; waiting")
    assert any("hosts.failed " in line and "10.0.0.5" in line for line in lines)
    assert [event["id"] for event in program] == [
        f"{KEY}#{number}" for number in range(1, len(lines) + 1)
    ]


async def test_json_is_what_sinks_are_sent(tmp_path: Path) -> None:
    sent = tmp_path / "sent.jsonl"
    sink = {"name": "kept", "kind": "file", "path": str(sent), "send": ["events"]}
    async with at_work(tmp_path, FAILS, sinks=[sink]) as house:
        house.now = OVER
        await house.sees("failed")
        said = await house.typed("events", "-o", "jsonl")
        enough = len(said.stdout.splitlines())
        await until(lambda: sent.exists() and len(read(sent)) >= enough, "all is sent")

    assert said.stdout.encode() == sent.read_bytes()


async def test_types_times_matchers_and_a_limit_choose(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        house.now = OVER
        await house.sees("failed")
        raised = await house.given("events", "--type", "alert.raised")
        later = await house.typed("events", "--since", "2100-01-01T00:00")
        bad = await house.given("events", "-m", 'severity="critical"')
        latest = await house.typed("events", "--limit", "1", "-o", "jsonl")

    assert {event["type"] for event in raised} == {"bkjob.alert.raised"}
    assert bad == raised
    assert (later.stdout, later.stderr) == ("", "Nothing like that is on record.\n")
    assert json.loads(latest.stdout)["id"] == raised[-1]["id"]
    assert latest.stderr == "There are more than 1; see --limit.\n"


async def reload(house: House) -> None:
    """Change the configuration under the daemon, and wait until it is in effect."""
    house.site.settings["retention"] = "80d"
    house.site.write()
    house.daemon.signal(signal.SIGHUP)
    await house.daemon.reaches(
        lambda: len(house.daemon.said("service.started")) == 2, "it reloads"
    )


async def test_followed_over_a_reload_every_event_comes_once_in_its_order(
    tmp_path: Path,
) -> None:
    out = tmp_path / "events.jsonl"
    async with at_work(tmp_path, FAILS) as house:
        command = ("events", "-f", "-o", "jsonl", "--socket", str(house.socket))
        with terminal.writing(out, *command):
            await until(lambda: len(read(out)) == 1, "what was recorded before")
            await reload(house)
            house.now = OVER
            await house.sees("failed")
            recorded = await house.given("events")
            await until(lambda: len(read(out)) >= len(recorded), "what came")

    assert read(out) == recorded


async def test_followed_over_a_restart_nothing_is_missing(tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    async with at_work(tmp_path, FAILS) as house:
        command = ("events", "-f", "-o", "jsonl", "--socket", str(house.socket))
        with terminal.writing(out, *command):
            await until(lambda: len(read(out)) == 1, "what was recorded before")
            await house.daemon.stop()
            house.now = OVER
            with running(house.site.config):
                await house.sees("failed")
                recorded = await house.given("events")
                await until(lambda: len(read(out)) >= len(recorded), "what came")

    assert read(out) == recorded


async def test_one_document_cannot_be_followed(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        said = await house.typed("events", "-f", "-o", "json")

    assert said.code == 2
    assert "give -o jsonl" in said.stderr


async def test_without_a_daemon_there_is_nothing_to_follow(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        await house.daemon.stop()
        said = await house.typed("events", "-f")

    assert said.code == 5
