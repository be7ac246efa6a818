"""Verbs that ask a daemon, typed; the daemon is a real socket."""

import json
import os
import pwd
import socket as sockets
from pathlib import Path

import pytest
from aiohttp import web

from monitor.web.api import operation, reload
from monitor.web.shapes.reload import ReloadData, Result
from tests.support import control
from tests.support.control import typed
from tests.web.api.test_alerts import KEYS, failed, member, routes

HOSTILE = "evil\x1b[2J[red]\nname"


class Reloading:
    def __init__(self, *answers: ReloadData) -> None:
        self._answers = list(answers)

    @property
    def last(self) -> ReloadData:
        return self._answers.pop(0)

    async def ask(self) -> ReloadData:
        return self._answers.pop(0)


def nobody_s(path: Path) -> None:
    """Leave a socket on which nobody listens."""
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(path))


async def test_alerts_are_a_line_each_for_people(tmp_path: Path) -> None:
    members = [member(KEYS[0], failed(3)), member(KEYS[1], failed(30))]
    async with control.serving(tmp_path, routes(*members)) as path:
        said = await typed("alerts", "--socket", str(path))

    head, first, second = said.stdout.splitlines()
    assert said.code == 0
    assert head.split() == [
        "SEVERITY",
        "ALERT",
        "FOR",
        "HOSTS",
        "WHERE",
        "JOB",
        "SUMMARY",
    ]
    assert f"30/1000  {KEYS[1]}" in first
    assert f"3/1000   {KEYS[0]}" in second
    assert head.index("SUMMARY") == first.index("30 of 1000")


async def test_alerts_are_json_for_programs(tmp_path: Path) -> None:
    members = [member(KEYS[0], failed(3)), member(KEYS[1], failed(30))]
    async with control.serving(tmp_path, routes(*members)) as path:
        whole = await typed("alerts", "--socket", str(path), "-o", "json")
        lines = await typed("alerts", "-o", "jsonl", MONITOR_SOCKET=str(path))

    listed = json.loads(whole.stdout)
    assert [alert["failed"] for alert in listed] == [30, 3]
    assert [json.loads(line) for line in lines.stdout.splitlines()] == listed


async def test_what_came_from_elsewhere_is_made_printable(tmp_path: Path) -> None:
    one = member(KEYS[0], failed(3), name=HOSTILE)
    async with control.serving(tmp_path, routes(one)) as path:
        said = await typed("alerts", "--socket", str(path))

    assert r"evil\u001b[2J[red]\u000aname" in said.stdout
    assert len(said.stdout.splitlines()) == 2


async def test_more_than_the_limit_is_said_so(tmp_path: Path) -> None:
    members = [member(key, failed(3)) for key in KEYS]
    async with control.serving(tmp_path, routes(*members)) as path:
        said = await typed("alerts", "--socket", str(path), "--limit", "2")

    assert len(said.stdout.splitlines()) == 3
    assert said.stderr == "There are more than 2; see --limit.\n"


async def test_that_nothing_is_wrong_is_no_table(tmp_path: Path) -> None:
    async with control.serving(tmp_path, routes()) as path:
        said = await typed("alerts", "--socket", str(path))

    assert (said.code, said.stdout) == (0, "")
    assert said.stderr == "Nothing is wrong.\n"


async def test_a_matcher_that_is_none_is_wrong_usage(tmp_path: Path) -> None:
    async with control.serving(tmp_path, routes()) as path:
        said = await typed("alerts", "--socket", str(path), "-m", "team")

    assert said.code == 2
    assert "'team' is no matcher" in said.stderr


@pytest.mark.parametrize("verb", ["alerts", "reload"])
async def test_without_a_daemon_it_says_where_it_looked_and_what_to_do(
    tmp_path: Path, verb: str
) -> None:
    config = tmp_path / "monitor.yaml"
    config.write_text("store: sqlite:///state/m.db\nsources: {prod: {nonsense: 1}}\n")
    said = await typed(verb, "--config", str(config))

    assert said.code == 5
    assert f"no daemon listens at {tmp_path}/state/m.sock" in said.stderr
    assert "start one with job-monitor run" in said.stderr


async def test_what_a_dead_daemon_left_is_no_daemon(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    nobody_s(path)
    said = await typed("alerts", "--socket", str(path))

    assert said.code == 5


async def test_a_store_that_names_no_file_is_a_fault_of_the_configuration(
    tmp_path: Path,
) -> None:
    config = tmp_path / "monitor.yaml"
    config.write_text("a: 1\nstore: mysql://x\n")
    said = await typed("alerts", "--config", str(config))

    assert said.code == 78
    assert said.stderr.startswith(f"{config}:2:")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_who_may_not_open_the_socket_is_told_whom_to_ask(tmp_path: Path) -> None:
    nobody, root = pwd.getpwnam("nobody").pw_uid, os.geteuid()
    async with control.serving(tmp_path, routes()) as path:
        os.seteuid(nobody)
        try:
            said = await typed("alerts", "--socket", str(path))
        finally:
            os.seteuid(root)

    assert said.code == 4
    assert f"{path} is not for this user; ask as" in said.stderr


async def test_another_service_is_not_taken_for_a_daemon(tmp_path: Path) -> None:
    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    other = [operation.get("/api/v1/alerts", hello, "Say hello.", None)]
    async with control.serving(tmp_path, other) as path:
        said = await typed("alerts", "--socket", str(path))

    assert said.code == 1
    assert "is no Job Monitor of this version" in said.stderr


async def test_a_reload_says_what_changed_once_it_is_in_effect(tmp_path: Path) -> None:
    under_way = ReloadData(number=1, result=Result.REPLACING, changed=("retention",))
    over = ReloadData(
        number=1, result=Result.CHANGED, changed=("retention",), watches=7, added=2
    )
    answers = Reloading(under_way, under_way, over)
    async with control.serving(tmp_path, reload.operations(answers)) as path:
        said = await typed("reload", "--socket", str(path))

    assert said.code == 0
    assert said.stdout == "changed: retention\nwatches: 7, 2 added\n"


@pytest.mark.parametrize(
    ("in_all", "more"), [(7, ""), (9, "with those of other machines: 9\n")]
)
async def test_a_reload_says_how_many_watches_there_are_with_those_of_others(
    tmp_path: Path, in_all: int, more: str
) -> None:
    over = ReloadData(number=1, result=Result.UNCHANGED, watches=7, in_all=in_all)
    async with control.serving(tmp_path, reload.operations(Reloading(over))) as path:
        said = await typed("reload", "--socket", str(path))

    assert said.stdout == f"the configuration is what it was\nwatches: 7\n{more}"


async def test_a_refused_configuration_ends_with_78_and_each_fault(
    tmp_path: Path,
) -> None:
    refused = ReloadData(
        number=1, result=Result.REFUSED, faults=("m.yaml:1: a", "m.yaml:2: b")
    )
    async with control.serving(tmp_path, reload.operations(Reloading(refused))) as path:
        said = await typed("reload", "--socket", str(path))

    assert (said.code, said.stdout) == (78, "")
    assert said.stderr == "m.yaml:1: a\nm.yaml:2: b\n"


async def test_entries_that_cannot_be_used_are_listed_and_end_with_1(
    tmp_path: Path,
) -> None:
    found = ReloadData(
        number=1, result=Result.UNCHANGED, watches=3, quarantined=("l.txt:4:1: what?",)
    )
    async with control.serving(tmp_path, reload.operations(Reloading(found))) as path:
        said = await typed("reload", "--socket", str(path))

    assert said.code == 1
    assert said.stdout == "the configuration is what it was\nwatches: 3\n"
    assert said.stderr == "l.txt:4:1: what?\n"
