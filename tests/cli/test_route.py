"""Trying routes: on labels without a daemon, on the record of one that runs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.control import typed
from tests.test_service import FAILING, KEY, LISTED, a_site, eventually, playing

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

FILE = """\
sources: {prod: {api: esb-v2, url: "http://127.0.0.1:9", access_token: t}}
watch_lists: []
sinks:
  - {name: dba, kind: log, send: [alerts]}
  - {name: boss, kind: log, send: [alerts]}
  - {name: rest, kind: log, send: [alerts], match: [severity=critical]}
  - {name: journal, kind: log, send: [events]}
routes:
  - {match: [team=dba], sinks: [dba], group_by: team, continue: true}
  - {match: [severity=critical], sinks: [boss], after: 30m}
"""
QUIET = """\
silences:
  - {match: [team=dba], until: 2099-01-01T00:00:00Z, comment: moving}
alerts:
  inhibit: [{source_match: [alert=job_gone], target_match: [team=dba]}]
"""
IN_FORCE = [{"name": "sre", "kind": "log", "send": ["alerts"]}]


def written(directory: Path, text: str = FILE) -> str:
    path = directory / "monitor.yaml"
    path.write_text(text)
    return str(path)


def words(line: str) -> str:
    return " ".join(line.split())


async def test_labels_are_tried_on_the_file_alone(tmp_path: Path) -> None:
    file = written(tmp_path)
    said = await typed(
        "route", "test", "-c", file, "team=dba", "severity=warning", "scope=biz/2"
    )

    assert said.code == 0
    assert [words(line) for line in said.stdout.splitlines()] == [
        'dba told route routes[0] team="dba"; in prod/{team="dba"}; waits 1s; reminds every 4h',
        "boss not told no route leads to it",
        'rest not told its match does not fit: severity="critical"; route unnamed',
    ]


async def test_labels_say_what_the_file_keeps_quiet(tmp_path: Path) -> None:
    file = written(tmp_path, FILE + QUIET)
    said = await typed("route", "test", "-c", file, "team=dba")
    other = await typed("route", "test", "-c", file, "team=web")

    assert said.stderr.splitlines() == [
        "Nobody would be told now: somebody silenced it: silences[0]: moving",
        'Nobody would be told while alert="job_gone" holds: alerts.inhibit[0]',
    ]
    assert other.stderr == ""


@pytest.mark.parametrize(("expected", "code"), [("dba", 0), ("boss", 1)])
async def test_what_is_expected_may_be_checked(
    tmp_path: Path, expected: str, code: int
) -> None:
    file = written(tmp_path)
    said = await typed("route", "test", "-c", file, "team=dba", "--expect", expected)

    assert said.code == code
    assert ("dba would be told" in said.stderr) == bool(code)


async def test_labels_are_json_for_programs(tmp_path: Path) -> None:
    file = written(tmp_path)
    said = await typed("route", "test", "-c", file, "severity=critical", "-o", "json")

    ways = {way["sink"]: way for way in json.loads(said.stdout)}
    assert ways["boss"]["after"] == 1800
    assert ways["dba"]["route"] == ""


@pytest.mark.parametrize(
    ("given", "code"), [(["2/1", "2/2"], 2), (["2/1", "team=dba"], 2)]
)
async def test_a_key_or_labels_but_not_both(
    tmp_path: Path, given: list[str], code: int
) -> None:
    said = await typed("route", "test", "-c", written(tmp_path), *given)

    assert said.code == code
    assert "give one key, or else labels alone" in words(said.stderr)


@asynccontextmanager
async def a_daemon(directory: Path) -> AsyncIterator[str]:
    """Serve until a failure was told of; give the socket."""
    async with a_site(directory) as (site, world):
        site.more["sinks"] = IN_FORCE
        site.list.write_text(f"{LISTED} team=dba\n")
        world.play("one_ip_fails")
        site.second = FAILING
        async with playing(site) as stage:
            await eventually(lambda: stage.notifications)
            yield str(directory / "m.sock")


async def test_alerts_on_record_are_tried_on_the_file(tmp_path: Path) -> None:
    async with a_daemon(tmp_path) as socket:
        file = written(tmp_path)
        said = await typed(
            "route", "test", "-c", file, "--socket", socket, "-o", "json"
        )
        table = await typed("route", "test", "-c", file, "--socket", socket)

    [alert] = json.loads(said.stdout)
    assert (alert["key"], alert["holds"]) == (KEY, True)
    assert alert["traits"]["team"] == "dba"
    assert set(alert["changes"]) == {"+dba", "+boss", "+rest", "-sre", "-guest"}
    assert "sre, guest" in table.stdout
    assert said.stderr == "1 alert; 1 would take another way by the file.\n"


async def test_an_instance_says_by_which_rule_each_sink_is_told(tmp_path: Path) -> None:
    async with a_daemon(tmp_path) as socket:
        file = written(tmp_path, FILE + QUIET)
        said = await typed("route", "test", LISTED, "-c", file, "--socket", socket)
        group = 'prod/{team="dba"}'
        other = await typed("route", "test", group, "-c", file, "--socket", socket)

    lines = [words(line) for line in said.stdout.splitlines()]
    assert lines[0].startswith(f"{KEY} critical hosts_failed/")
    assert f"sre told route default; in {KEY}; waits 1s; reminds every 4h" in lines
    assert any(
        line.startswith("by the file +boss, +dba, -guest, +rest") for line in lines
    )
    assert (other.code, other.stdout) == (6, "")
    assert "no alert of" in other.stderr


async def test_what_is_silenced_now_says_so(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        site.more |= {
            "sinks": IN_FORCE,
            "silences": [{"match": ["source=prod"], "until": "2099-01-01T00:00:00Z"}],
        }
        world.play("one_ip_fails")
        site.second = FAILING
        socket = str(tmp_path / "m.sock")
        async with playing(site) as stage:
            await stage.tells("alert.raised")
            said = await typed("route", "test", LISTED, "--socket", socket)

    assert "Nobody is told now: somebody silenced it: silences[0]" in said.stdout
    assert said.stderr == "1 alert, by the configuration in force.\n"


async def test_what_is_over_is_tried_if_it_was_raised_since(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        site.more["sinks"] = IN_FORCE
        world.play("retry_recovers")
        socket = str(tmp_path / "m.sock")
        async with playing(site) as stage:
            site.second = FAILING
            await stage.tells("alert.raised")
            site.second = 1000.0
            await stage.tells("alert.resolved")
            late = await typed(
                "route", "test", "--since", "2099-01-01T00:00", "--socket", socket
            )
            since = await typed(
                "route",
                "test",
                "--since",
                "2020-01-01T00:00",
                "--socket",
                socket,
                "-o",
                "jsonl",
            )

    assert late.stdout == ""
    found = [json.loads(line) for line in since.stdout.splitlines()]
    assert {(each["name"], each["holds"]) for each in found} >= {
        ("hosts_failed", False)
    }
    assert found[0]["traits"]["name"] == "retry_recovers"
    assert {way["sink"] for way in found[0]["ways"]} == {"sre", "guest"}
