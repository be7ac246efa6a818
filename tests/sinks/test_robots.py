"""Webhooks that speak to robots: signed as they want it, and heard when they refuse."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from monitor import clock, errors
from monitor.formats.library import Library, Template
from monitor.sinks.webhook import sink as webhook
from monitor.sinks.webhook.config import WebhookConfig
from monitor.sinks.webhook.sink import WebhookSink
from tests.formats.notified import failing, notified, recovered
from tests.sinks.chats import Chat, DingTalk, Feishu, Slack, WeCom
from tests.sinks.receiver import Receiver, answering, receiving

pytest.importorskip("jinja2", reason="Jinja2 is not installed")

SECRET = "SEC-canary-7f3a9d"
FAILED, RECOVERED = notified(failing(9), recovered(9))

every_chat = pytest.mark.parametrize(
    ("robot", "kind"),
    [("wecom", WeCom), ("dingtalk", DingTalk), ("feishu", Feishu), ("slack", Slack)],
)
signing = pytest.mark.parametrize(
    ("robot", "kind"), [("dingtalk", DingTalk), ("feishu", Feishu)]
)


@asynccontextmanager
async def speaking_to(
    robot: str, chat: Chat | None = None, library: Library | None = None, **fields: Any
) -> AsyncIterator[tuple[WebhookSink, Receiver]]:
    async with receiving(chat) as receiver:
        given = {
            "name": "chat",
            "kind": "webhook",
            "url": f"{receiver.url}?access_token=canary-token",
            "format": "template",
            "template": robot,
            "allow_networks": ["127.0.0.0/8"],
        }
        config = WebhookConfig.model_validate({**given, **fields})
        opened = webhook.opened(config, now=clock.utc_now, library=library or Library())
        async with opened as sink:
            yield sink, receiver


@every_chat
async def test_a_failure_and_its_recovery_are_shown(
    robot: str, kind: type[Chat]
) -> None:
    chat = kind()

    async with speaking_to(robot, chat) as (sink, receiver):
        await sink.deliver(FAILED)
        await sink.deliver(RECOVERED)

        assert receiver.deliveries[0].headers["content-type"] == "application/json"
    assert "Hosts failed" in chat.shown[0]
    assert "9 × non-zero exit code" in chat.shown[0]
    assert "Over: Hosts failed" in chat.shown[1]


@every_chat
async def test_a_sink_may_speak_another_language_than_the_others(
    robot: str, kind: type[Chat]
) -> None:
    chat, library = kind(), Library(locale="en")

    async with speaking_to(robot, chat, library, locale="zh-CN") as (sink, _):
        await sink.deliver(FAILED)

    assert "主机执行失败" in chat.shown[0]


@every_chat
async def test_a_robot_that_has_enough_is_tried_again_later(
    robot: str, kind: type[Chat]
) -> None:
    async with speaking_to(robot, kind(quota=0)) as (sink, _):
        with pytest.raises(errors.Undelivered) as busy:
            await sink.deliver(FAILED)

    assert busy.value.retry_after is not None
    assert busy.value.retry_after >= timedelta(seconds=30)


@signing
async def test_a_signature_is_what_the_robot_computes_itself(
    robot: str, kind: type[Chat]
) -> None:
    chat = kind(SECRET)

    async with speaking_to(robot, chat, robot_secret=SECRET) as (sink, receiver):
        await sink.deliver(FAILED)

        sent = receiver.deliveries[0]
        assert SECRET not in sent.body.decode() + str(sent.headers)
    assert len(chat.shown) == 1


@signing
async def test_a_wrong_signature_is_refused_and_shows_no_secret(
    robot: str, kind: type[Chat]
) -> None:
    chat = kind("another")

    async with speaking_to(robot, chat, robot_secret=SECRET) as (sink, _):
        with pytest.raises(errors.Rejected, match="sign") as refused:
            await sink.deliver(FAILED)

    assert "canary" not in str(refused.value)
    assert chat.shown == []


@signing
async def test_a_secret_that_was_changed_is_read_anew(
    robot: str, kind: type[Chat], tmp_path: Path
) -> None:
    file, chat = tmp_path / "secret", kind("new")
    file.write_text("old\n")

    async with speaking_to(robot, chat, robot_secret_file=file) as (sink, _):
        file.write_text("new\n")
        with pytest.raises(errors.Undelivered, match="read anew"):
            await sink.deliver(FAILED)
        await sink.deliver(FAILED)

    assert len(chat.shown) == 1


@pytest.mark.parametrize(
    ("robot", "answer", "verdict"),
    [
        ("wecom", {"errcode": 93000, "errmsg": "invalid webhook url"}, errors.Rejected),
        ("wecom", {"errcode": -1, "errmsg": "system busy"}, errors.Undelivered),
        (
            "dingtalk",
            {"errcode": 300005, "errmsg": "token is not exist"},
            errors.Rejected,
        ),
        ("feishu", {"code": 19001, "msg": "param invalid"}, errors.Rejected),
        ("feishu", {"code": 9499, "msg": "too many request"}, errors.Undelivered),
        ("feishu", {"StatusCode": 0}, errors.Undelivered),
        ("wecom", ["?"], errors.Undelivered),
    ],
)
async def test_a_code_in_a_good_answer_is_the_verdict(
    robot: str, answer: Any, verdict: type[errors.SinkError]
) -> None:
    async with speaking_to(robot) as (sink, receiver):
        receiver.answer = answering(200, json.dumps(answer))
        with pytest.raises(verdict):
            await sink.deliver(FAILED)


async def test_a_page_in_place_of_a_robot_has_taken_nothing() -> None:
    async with speaking_to("wecom") as (sink, receiver):
        receiver.answer = answering(200, "<html>please log in</html>")
        with pytest.raises(errors.Undelivered, match="what no wecom robot answers"):
            await sink.deliver(FAILED)


async def test_an_answer_that_echoes_a_secret_is_masked() -> None:
    async def echoing(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response({"errcode": 7, "errmsg": f"{request.url} {SECRET}"})

    async with speaking_to("dingtalk", robot_secret=SECRET) as (sink, receiver):
        receiver.answer = echoing
        with pytest.raises(errors.Rejected) as refused:
            await sink.deliver(FAILED)

    assert "canary" not in str(refused.value)


async def test_a_template_of_ones_own_is_sent_as_it_says() -> None:
    mine = Template(
        name="mine", source="{{ brief.headline }}", content_type="text/plain"
    )

    async with speaking_to("mine", library=Library({"mine": mine})) as (sink, receiver):
        await sink.deliver(FAILED)

        [sent] = receiver.deliveries
        assert sent.body == "CRITICAL · deploy".encode()
        assert sent.headers["content-type"] == "text/plain"


async def test_a_template_that_cannot_say_a_message_is_a_dead_letter() -> None:
    library = Library({"mine": Template(name="mine", source="{{ data.nothing }}")})

    async with speaking_to("mine", library=library) as (sink, receiver):
        with pytest.raises(
            errors.Rejected, match="template mine: line 1: UndefinedError"
        ):
            await sink.deliver(FAILED)

        assert receiver.deliveries == []


@pytest.mark.parametrize(
    ("name", "why"), [("mine", "line 1"), ("yours", "there is no template 'yours'")]
)
async def test_a_faulty_template_is_a_misconfiguration(name: str, why: str) -> None:
    library = Library({"mine": Template(name="mine", source="{% if %}")})

    with pytest.raises(errors.Misconfigured, match=why):
        async with speaking_to(name, library=library):
            pass
