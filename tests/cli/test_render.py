"""Messages as templates, presets and sinks would write them; nothing is sent."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor.formats.robots import ROBOTS
from tests.support.control import typed
from tests.test_service import (
    FAILING,
    KEY,
    LISTED,
    Stage,
    a_site,
    eventually,
    playing,
)

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

FILE = """\
sources: {prod: {api: esb-v2, url: "http://127.0.0.1:9", access_token: t}}
watch_lists: []
locale: zh-CN
templates:
  ticket: {body: '{"title": "{{ brief.headline }}"}'}
sinks:
  - {name: hook, kind: webhook, url: "https://example.com/x"}
  - {name: chat, kind: webhook, url: "https://example.com/x", format: template,
     template: wecom, locale: en}
  - {name: am, kind: alertmanager, urls: ["https://example.com"]}
  - {name: amhook, kind: webhook, url: "https://example.com/x", format: alertmanager,
     send: [alerts]}
  - {name: lines, kind: file, path: lines.jsonl}
  - {name: mail, kind: apprise, urls: ["mailto://a:b@example.com"]}
  - {name: journal, kind: log}
"""


def written(directory: Path, text: str = FILE) -> str:
    path = directory / "monitor.yaml"
    path.write_text(text)
    return str(path)


def a_template(directory: Path, text: str) -> str:
    path = directory / "t.j2"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("preset", ROBOTS)
@pytest.mark.parametrize(
    ("locale", "said"), [("en", "Hosts failed"), ("zh-CN", "主机")]
)
async def test_a_preset_is_seen_without_configuration_or_daemon(
    preset: str, locale: str, said: str
) -> None:
    found = await typed("render", preset, "--example", "firing", "--locale", locale)

    assert found.code == 0
    assert said in json.dumps(json.loads(found.stdout), ensure_ascii=False)
    assert len(found.stdout.splitlines()) > 5


async def test_the_very_bytes_are_one_line() -> None:
    found = await typed("render", "wecom", "--example", "resolved", "--raw")

    assert len(found.stdout.splitlines()) == 1
    assert "RECOVERED" in json.loads(found.stdout)["markdown"]["content"]


async def test_nothing_commands_a_terminal_unless_the_very_bytes_are_wanted(
    tmp_path: Path,
) -> None:
    file = a_template(tmp_path, "a\tb\n\x1b[2J\x9b 磁盘\n")
    asked = ("render", file, "--example", "event", "--content-type", "text/plain")
    shown, raw = await typed(*asked), await typed(*asked, "--raw")

    assert shown.stdout == "a\tb\n\\u001b[2J\\u009b 磁盘\n"
    assert raw.stdout == "a\tb\n\x1b[2J\x9b 磁盘"


async def test_a_file_is_tried_as_what_it_says_it_writes(tmp_path: Path) -> None:
    file = a_template(tmp_path, "{{ data.failed }} of {{ data.total }} <{{ locale }}>")
    text = await typed(
        "render", file, "--example", "event", "--content-type", "text/plain"
    )
    robot = await typed("render", file, "--example", "event", "--robot", "feishu")

    assert text.stdout == "2 of 10 <en>\n"
    assert json.loads(robot.stdout)["msg_type"] == "interactive"


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("{\n{% if %}\n}", 78, "t.j2: line 2: Expected an expression"),
        ('{"a": 1,\n"b": "{{ data.nope }}"}', 1, "t.j2: line 2: UndefinedError: "),
        ("{", 1, "t.j2: ValueError: what it writes is no JSON"),
    ],
)
async def test_what_is_wrong_with_a_template_is_said_with_its_line(
    tmp_path: Path, text: str, code: int, said: str
) -> None:
    found = await typed("render", a_template(tmp_path, text), "--example", "firing")

    assert (found.code, found.stdout) == (code, "")
    assert said in found.stderr


async def in_format_of(directory: Path, sink: str, *more: str) -> str:
    file = written(directory)
    found = await typed("render", sink, "-c", file, "--example", "firing", *more)
    assert found.code == 0, found.stderr
    return found.stdout


async def test_each_sink_writes_in_its_own_format(tmp_path: Path) -> None:
    def parsed(text: str) -> Any:
        return json.loads(text)

    hook = parsed(await in_format_of(tmp_path, "hook"))
    lines = parsed(await in_format_of(tmp_path, "lines"))
    [alert] = parsed(await in_format_of(tmp_path, "am"))
    body = parsed(await in_format_of(tmp_path, "amhook"))
    ticket = parsed(await in_format_of(tmp_path, "ticket"))

    assert hook["specversion"] == lines["specversion"] == "1.0"
    assert alert["labels"]["alertname"] == "hosts_failed"
    assert (body["version"], body["receiver"]) == ("4", "amhook")
    assert ticket["title"].startswith("警告")


async def test_a_sink_writes_in_its_language_unless_another_is_wanted(
    tmp_path: Path,
) -> None:
    assert "Hosts failed" in await in_format_of(tmp_path, "chat")
    assert "主机执行失败" in await in_format_of(tmp_path, "chat", "--locale", "zh-CN")
    assert "主机执行失败" in await in_format_of(tmp_path, "mail")
    assert "Hosts failed" in await in_format_of(tmp_path, "mail", "--locale", "en")


async def test_what_has_no_body_and_what_there_is_not_is_said(tmp_path: Path) -> None:
    file = written(tmp_path)
    journal = await typed("render", "journal", "-c", file, "--example", "firing")
    event = await typed("render", "slack", "-c", file, "--example", "event")
    nobody = await typed("render", "nobody", "-c", file, "--example", "firing")
    nothing = await typed("render", "slack", "-c", file)

    assert (journal.code, event.code, nobody.code, nothing.code) == (78, 1, 2, 2)
    assert "kind log has no body" in journal.stderr
    assert "the preset slack knows alerts only" in event.stderr
    assert (
        "hook, chat, am, amhook, lines, mail, journal, ticket, wecom" in nobody.stderr
    )
    assert "say of what" in nothing.stderr


@asynccontextmanager
async def a_daemon(directory: Path, **more: Any) -> AsyncIterator[tuple[Stage, str]]:
    async with a_site(directory) as (site, world):
        site.more |= more
        world.play("one_ip_fails")
        site.second = FAILING
        async with playing(site) as stage:
            await stage.tells("alert.raised")
            yield stage, str(directory / "m.sock")


async def test_what_was_told_is_written_as_it_was(tmp_path: Path) -> None:
    file = written(tmp_path)

    async def rendered(of: str) -> tuple[Any, str]:
        found = await typed("render", "hook", of, "-c", file, "--socket", socket)
        assert found.code == 0, found.stderr
        return json.loads(found.stdout), found.stderr

    async with a_daemon(tmp_path) as (stage, socket):
        await eventually(lambda: stage.notifications)
        by_id, _ = await rendered(f"{KEY}!1")
        by_key, said = await rendered(LISTED)
        event, _ = await rendered(f"{LISTED}#1")

    assert by_id == by_key == json.loads(stage.notifications[0].cloudevent())
    assert event == json.loads(stage.events[0].cloudevent())
    assert said.startswith(f"{KEY}!1, ")


async def test_what_was_told_to_nobody_is_written_as_it_would_be(
    tmp_path: Path,
) -> None:
    silence = {"match": ["source=prod"], "until": "2099-01-01T00:00:00Z"}
    async with a_daemon(tmp_path, silences=[silence]) as (_, socket):
        found = await typed("render", "wecom", LISTED, "--socket", socket)
        unknown = await typed("render", "wecom", "2/7", "--socket", socket)
        never = await typed("render", "wecom", f"{LISTED}!9", "--socket", socket)

    assert "10.0.0.5" in json.loads(found.stdout)["markdown"]["content"]
    assert found.stderr.startswith(f"nobody was told of {KEY}; this is what")
    assert (unknown.code, never.code) == (6, 6)
    assert "nothing is wrong with it" in unknown.stderr
    assert f"no notification {KEY}!9 is on record" in never.stderr
