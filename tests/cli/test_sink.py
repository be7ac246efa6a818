"""``sink test``, typed: from the configuration straight to the other side."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from structlog.testing import capture_logs

from monitor.core.message import Kind
from tests.sinks.receiver import Receiver, answering, receiving
from tests.support.control import Typed, typed

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

DOCS = Path(__file__).parents[2] / "docs"
SOURCE = {"api": "esb-v2", "url": "http://127.0.0.1:9", "access_token": "t0ken"}
HERE = {"allow_networks": ["127.0.0.0/8"]}


@pytest.fixture(autouse=True)
def _log_elsewhere() -> Iterator[None]:
    """Keep the log out of what is typed here: they share a process."""
    with capture_logs():
        yield


def written(directory: Path, *sinks: dict[str, Any], **more: Any) -> str:
    path = directory / "monitor.yaml"
    settings = {"sources": {"prod": SOURCE}, "sinks": list(sinks), **more}
    path.write_text(yaml.safe_dump(settings, allow_unicode=True))
    return str(path)


async def trying(
    directory: Path, *sinks: dict[str, Any], names: tuple[str, ...] = (), **more: Any
) -> Typed:
    path = written(directory, *sinks, **more)
    return await typed("sink", "test", *names, "--config", path)


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(delivery.body) for delivery in receiver.deliveries]


def lines_in(path: Path) -> int:
    return len(path.read_text().splitlines())


def valid(body: dict[str, Any], schema: str) -> bool:
    return Draft202012Validator(json.loads((DOCS / schema).read_text())).is_valid(body)


async def test_a_sink_for_alerts_gets_a_test_alert_and_its_end(tmp_path: Path) -> None:
    async with receiving() as receiver:
        hook = {"name": "hook", "kind": "webhook", "url": receiver.url, **HERE}
        said = await trying(tmp_path, hook)

    first, last = bodies(receiver)
    assert valid(first, "notification.schema.json")
    assert valid(last, "notification.schema.json")
    assert said.code == 0
    assert said.stdout.startswith("hook  taken within ")
    assert (first["data"]["status"], last["data"]["status"]) == ("firing", "resolved")
    assert "This is a test" in first["data"]["summary"]
    assert first["data"]["labels"] == {"test": "true", "sink": "hook"}
    assert first["id"].startswith("test/")


async def test_a_sink_for_events_alone_gets_an_event(tmp_path: Path) -> None:
    async with receiving() as receiver:
        hook = {"name": "hook", "kind": "webhook", "url": receiver.url, **HERE}
        said = await trying(tmp_path, {**hook, "send": [Kind.EVENTS.value]})

    [body] = bodies(receiver)
    assert valid(body, "events.schema.json")
    assert said.code == 0
    assert [host["ip"] for host in body["data"]["hosts"]] == ["192.0.2.1", "192.0.2.2"]


async def test_each_sink_is_said_on_a_line_and_one_that_fails_makes_it_fail(
    tmp_path: Path,
) -> None:
    async with receiving() as good, receiving(answering(503, "later")) as bad:
        said = await trying(
            tmp_path,
            {"name": "good", "kind": "webhook", "url": good.url, **HERE},
            {"name": "bad", "kind": "webhook", "url": bad.url, **HERE},
            {"name": "closed", "kind": "webhook", "url": good.url},
            {"name": "pager", "kind": "exec", "command": ["/nowhere/page"]},
            {"name": "archive", "kind": "file", "path": "events.jsonl"},
            {"name": "watchdog", "kind": "heartbeat", "url": good.url, **HERE},
        )

    lines = dict(line.split(maxsplit=1) for line in said.stdout.splitlines())
    assert said.code == 1
    assert lines["good"].startswith("taken within ")
    assert lines["bad"] == f"not taken: {bad.origin} answered 503: later"
    assert "allow_networks" in lines["closed"]
    assert lines["pager"].startswith("cannot be opened: ")
    assert lines["archive"].startswith("taken within ")
    assert lines["watchdog"].startswith("taken within ")
    assert lines_in(tmp_path / "events.jsonl") == 2


async def test_only_those_that_are_named_are_tried(tmp_path: Path) -> None:
    async with receiving() as receiver:
        said = await trying(
            tmp_path,
            {"name": "hook", "kind": "webhook", "url": receiver.url, **HERE},
            {"name": "other", "kind": "webhook", "url": "http://127.0.0.1:9/"},
            names=("hook",),
        )
        unknown = await trying(tmp_path, {"name": "a", "kind": "log"}, names=("b",))

    assert said.code == 0
    assert len(said.stdout.splitlines()) == 1
    assert unknown.code == 6
    assert "there are: a" in unknown.stderr


async def test_people_are_told_in_their_language(tmp_path: Path) -> None:
    async with receiving() as receiver:
        hook = {"name": "hook", "kind": "webhook", "url": receiver.url, **HERE}
        await trying(tmp_path, hook, locale="zh-CN")

    assert "测试消息" in bodies(receiver)[0]["data"]["summary"]
