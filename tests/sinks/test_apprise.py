"""Apprise: mail to a real SMTP server, and services that fail."""

import logging
import sys
import traceback
from contextlib import AbstractAsyncContextManager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import ValidationError

from monitor import clock, errors
from monitor.core.message import Message
from monitor.ports import Sink
from monitor.sinks import catalogue
from monitor.sinks.apprise.config import AppriseConfig
from monitor.sinks.apprise.sink import AT_ONCE
from tests.formats.notified import failing, notified
from tests.sinks.messages import a_notification
from tests.sinks.post import a_post
from tests.sinks.receiver import Answer, answering, receiving

pytest.importorskip("apprise", reason="pip install 'job-monitor[apprise]'")
pytest.importorskip("aiosmtpd", reason="mail is received by aiosmtpd")

CANARY = "canary-7f3a9d"
NOWHERE = "mailto://127.0.0.1:1/?from=jm@example.com&to=ops@example.com"


def config(**fields: Any) -> AppriseConfig:
    return AppriseConfig.model_validate({"name": "x", "kind": "apprise", **fields})


def opened(**fields: Any) -> AbstractAsyncContextManager[Sink]:
    return catalogue.opened(config(**fields), now=clock.utc_now)


async def refusal(sink: Sink, message: Message | None = None) -> errors.SinkError:
    with pytest.raises(errors.SinkError) as refused:
        await sink.deliver(message or a_notification())
    return refused.value


def printed(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def text_of(letter: EmailMessage) -> str:
    body = letter.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_mail_says_who_failed_and_why() -> None:
    [message] = notified(failing(name="nightly deploy"))
    async with a_post() as post, opened(urls=[post.url()]) as sink:
        await sink.deliver(message)

    [letter] = post.letters
    assert letter["Subject"] == "CRITICAL · nightly deploy"
    assert letter["To"] == "ops@example.com"
    assert "10.0.1.0" in text_of(letter)
    assert "No space left on device" in text_of(letter)


async def test_mail_of_markdown_has_a_part_of_html_without_tags_of_others() -> None:
    [message] = notified(failing(name="<img src=//e> [x](//e)"), log="<script>1")
    async with (
        a_post() as post,
        opened(urls=[post.url()], format="markdown") as sink,
    ):
        await sink.deliver(message)

    [letter] = post.letters
    page = letter.get_body(("html",))
    assert page is not None
    assert "<strong>Hosts failed" in page.get_content()
    assert not {"<img", "<script", 'href="//e"'} & set(page.get_content().split())
    assert "<script" not in page.get_content()
    assert "<img" not in page.get_content()


async def test_a_server_that_refuses_the_letter_is_tried_again() -> None:
    async with a_post() as post, opened(urls=[post.url()]) as sink:
        post.answer = "554 no thanks"
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert str(refused).startswith("E-Mail (1 of 1): ")


async def test_a_server_that_is_away_is_tried_again() -> None:
    async with opened(urls=[NOWHERE]) as sink:
        refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert str(refused).startswith("E-Mail (1 of 1): ")


async def test_only_those_are_told_again_who_were_not_told() -> None:
    async with a_post() as well, a_post() as ill:
        ill.answer = "451 later"
        async with opened(urls=[well.url(), ill.url()]) as sink:
            refused = await refusal(sink)
            ill.answer = "250 OK"
            await sink.deliver(a_notification())
            await sink.deliver(a_notification())

    assert str(refused).startswith("E-Mail (2 of 2): ")
    assert (len(well.letters), len(ill.letters)) == (2, 2)


async def test_a_service_that_hangs_is_given_up_and_holds_up_no_other() -> None:
    async with a_post() as hanging, a_post() as well:
        hanging.hold = anyio.Event()
        async with opened(urls=[hanging.url(), well.url()], timeout="500ms") as sink:
            begun = anyio.current_time()
            refused = await refusal(sink)
            took = anyio.current_time() - begun
        hanging.hold.set()

    assert str(refused) == "E-Mail (1 of 2): did not answer within 500ms"
    assert len(well.letters) == 1
    assert took < 5


async def test_a_delivery_is_cancelled_at_once() -> None:
    async with a_post() as post:
        post.hold = anyio.Event()
        async with opened(urls=[post.url()]) as sink:
            with anyio.move_on_after(0.2) as scope:
                begun = anyio.current_time()
                await sink.deliver(a_notification())
            took = anyio.current_time() - begun
        post.hold.set()

    assert scope.cancelled_caught
    assert took < 5


async def test_no_more_than_a_few_are_told_at_once() -> None:
    async with a_post() as post:
        post.hold = anyio.Event()
        async with opened(urls=[post.url()]) as sink, anyio.create_task_group() as all_:
            for number in range(3 * AT_ONCE):
                all_.start_soon(sink.deliver, a_notification(number=number))
            while post.now < AT_ONCE:
                await anyio.lowlevel.checkpoint()
            post.hold.set()

    assert post.most == AT_ONCE
    assert len(post.letters) == 3 * AT_ONCE


async def test_no_secret_is_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with a_post() as post:
        urls = [
            post.url(f"monitor:{CANARY}@"),
            f"mailto://u:{CANARY}@127.0.0.1:1/?from=a@example.com&to=b@example.com",
        ]
        async with opened(urls=urls) as sink:
            refused = await refusal(sink)

            assert CANARY not in printed(refused) + caplog.text + repr(sink)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("json://127.0.0.1/x", "use a webhook, or allow_unguarded"),
        ("XMLS://127.0.0.1/x", "use a webhook, or allow_unguarded"),
        (f"nonesuch://{CANARY}", "Apprise cannot use this nonesuch://"),
        (f"mailtos://u:{CANARY}@example.com?verify=no", "neither verify=no nor"),
        (f"mailtos://u:{CANARY}@example.com?redirect=yes", "nor redirect=yes"),
    ],
)
async def test_an_address_that_cannot_be_used_is_a_misconfiguration(
    url: str, why: str
) -> None:
    with pytest.raises(errors.Misconfigured, match=why) as refused:
        async with opened(urls=[url]):
            pass

    assert CANARY not in printed(refused.value)


async def test_who_insists_may_post_to_any_host() -> None:
    async with receiving() as receiver:
        url = f"json://127.0.0.1:{receiver.port}/hook"
        async with opened(urls=[url], allow_unguarded=True) as sink:
            await sink.deliver(a_notification())

    assert len(receiver.deliveries) == 1


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as elsewhere, receiving() as receiver:
        receiver.answer = redirecting(elsewhere.url)
        url = f"json://127.0.0.1:{receiver.port}/hook"
        async with opened(urls=[url], allow_unguarded=True) as sink:
            refused = await refusal(sink)

    assert isinstance(refused, errors.Undelivered)
    assert elsewhere.deliveries == []


def redirecting(url: str) -> Answer:
    return answering(307, "", Location=url)


async def test_addresses_may_stand_in_a_file(tmp_path: Path) -> None:
    async with a_post() as post:
        path = tmp_path / "urls"
        path.write_text(f"# the team\n\n{post.url()}\n")
        async with opened(urls_file=path) as sink:
            await sink.deliver(a_notification())

    assert len(post.letters) == 1


@pytest.mark.parametrize("content", [b"", b"# none\n", b"no address", b"\xff\n"])
async def test_a_file_that_holds_no_addresses_is_a_misconfiguration(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "urls"
    path.write_bytes(content)

    with pytest.raises(errors.Misconfigured, match="urls: "):
        async with opened(urls_file=path):
            pass


async def test_a_file_that_is_missing_is_a_misconfiguration(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="urls: No such file"):
        async with opened(urls_file=tmp_path / "urls"):
            pass


async def test_a_missing_extra_is_a_misconfiguration_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "monitor.sinks.apprise.addresses", raising=False)
    monkeypatch.delattr("monitor.sinks.apprise.addresses", raising=False)
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(
        errors.Misconfigured, match=r"pip install 'job-monitor\[apprise\]'"
    ):
        async with opened(urls=[NOWHERE]):
            pass


@pytest.mark.parametrize(
    "fields",
    [
        {"urls": []},
        {"urls": [CANARY]},
        {"urls": ["mailto://"]},
        {"urls": [f"mailto://{CANARY}\n"]},
        {"urls": [f"mailto://{CANARY}"] * 21},
        {"urls": [NOWHERE], "urls_file": "/run/urls"},
        {"urls": [NOWHERE], "send": ["events"]},
        {"urls": [NOWHERE], "format": "html"},
        {"urls": [NOWHERE], "timeout": "0s"},
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        config(**fields)

    assert CANARY not in str(refused.value)


def test_no_secret_is_in_what_is_shown_of_a_configuration() -> None:
    found = config(urls=[f"tgram://{CANARY}/1"])

    assert CANARY not in repr(found) + found.model_dump_json() + repr(
        found.model_dump()
    )
