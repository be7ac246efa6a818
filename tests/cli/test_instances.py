"""``job-monitor ls`` and ``get``, of a daemon at work on a simulated JOB."""

import json
from pathlib import Path

from tests.cli.house import KEY, at_work

FAILS = {"scenario": "one_ip_fails"}
OVER = 100.0


async def test_the_worst_is_listed_first_and_filters_choose(tmp_path: Path) -> None:
    stories = [{"scenario": "hang"}, {"scenario": "success"}, FAILS]
    async with at_work(tmp_path, *stories) as house:
        house.now = OVER
        await house.sees("failed")
        await house.sees("succeeded")
        whole = await house.typed("ls")
        running = await house.given("ls", "--meaning", "running")
        named = await house.given("ls", "-q", "one_ip", "-m", 'team="sre"')
        elsewhere = await house.typed("ls", "--below", "prod/biz/3")

    head, first, *rest = whole.stdout.splitlines()
    assert head.split() == ["SEVERITY", "STATUS", "CHANGED", "FAILED", "KEY", "JOB"]
    assert first.split()[:2] == ["critical", "failed"]
    assert first.split()[3:] == ["1/5", "prod/biz/2/20000155", "one_ip_fails"]
    assert len(rest) == 2
    assert [one["name"] for one in running] == ["hang"]
    assert [one["name"] for one in named] == ["one_ip_fails"]
    assert (elsewhere.code, elsewhere.stdout) == (0, "")
    assert elsewhere.stderr == "There is no such instance.\n"


async def test_what_is_beyond_the_limit_is_said(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS, FAILS) as house:
        said = await house.typed("ls", "--limit", "1", "-o", "jsonl")

    assert [json.loads(line)["key"] for line in said.stdout.splitlines()] == [KEY]
    assert said.stderr == "There are more than 1; see --limit.\n"


async def test_one_instance_tells_its_steps_failed_hosts_alerts_and_watch(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, FAILS) as house:
        house.now = OVER
        await house.sees("failed")
        await house.comes(
            lambda one: one["steps"][0]["clusters"][0].get("log"), "get", KEY
        )
        said = await house.typed("get", "2/20000153")

    lines = said.stdout.splitlines()
    assert said.code == 0
    assert lines[0].startswith(f"{KEY}  one_ip_fails  failed, changed ")
    assert f"  watched by {house.site.watch_list}:1, team=sre" in lines
    assert any("hosts_failed  for " in line for line in lines)
    assert "  hosts: 4 succeeded, 1 non-zero exit code" in lines
    assert "  non-zero exit code: 10.0.0.5" in lines
    assert any(line.startswith("    | ") for line in lines)


async def test_all_hosts_are_listed_those_that_failed_first(tmp_path: Path) -> None:
    story = {**FAILS, "hosts": 1203}
    async with at_work(tmp_path, story) as house:
        house.now = OVER
        await house.sees("failed")
        people = await house.typed("get", KEY, "--hosts")
        program = await house.typed("get", KEY, "--hosts", "-o", "jsonl")

    hosts = [json.loads(line) for line in program.stdout.splitlines()]
    assert len({host["ip"] for host in hosts}) == len(hosts) == 1203
    assert [host["step"] for host in hosts if host.get("failed_in") == 0] == [
        "run script"
    ]
    assert hosts[0]["failed_in"] == 0
    assert len(people.stdout.splitlines()) == 1204
    assert hosts[0]["ip"] in people.stdout.splitlines()[1]


async def test_of_whom_nothing_is_known_is_6_and_no_key_is_2(tmp_path: Path) -> None:
    async with at_work(tmp_path, FAILS) as house:
        unknown = await house.typed("get", "2/1")
        elsewhere = await house.typed("get", "test/biz/2/1")
        wrong = await house.typed("get", "20000153")

    assert (unknown.code, elsewhere.code, wrong.code) == (6, 6, 2)
    assert unknown.stderr == "Error: nothing is known of prod/biz/2/1\n"
    assert "'20000153' is not [source/]" in wrong.stderr
