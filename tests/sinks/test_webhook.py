"""A webhook is one signed CloudEvent per POST, and the answer is the verdict."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from monitor import clock, errors
from monitor.formats import alertmanager
from monitor.sinks import http
from monitor.sinks.webhook import signature
from monitor.sinks.webhook import sink as webhook
from monitor.sinks.webhook.config import WebhookConfig
from monitor.sinks.webhook.sink import WebhookSink
from tests.sinks.messages import SEEN_AT, a_notification, an_event
from tests.sinks.receiver import (
    Delivery,
    Receiver,
    answering,
    babbling,
    receiving,
    speaking,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEXT_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@asynccontextmanager
async def a_sink(url: str, **fields: Any) -> AsyncIterator[WebhookSink]:
    networks = {"allow_networks": ["127.0.0.0/8"]}
    config = WebhookConfig(
        **{"name": "oncall", "kind": "webhook", "url": url, **networks, **fields}
    )
    async with webhook.opened(config, now=clock.utc_now) as sink:
        yield sink


@asynccontextmanager
async def a_pair(**fields: Any) -> AsyncIterator[tuple[WebhookSink, Receiver]]:
    async with receiving() as receiver, a_sink(receiver.url, **fields) as sink:
        yield sink, receiver


async def test_a_request_is_one_structured_cloud_event() -> None:
    async with a_pair() as (sink, receiver):
        await sink.deliver(an_event())

        [delivery] = receiver.deliveries
        assert delivery.body == an_event().cloudevent()
        assert delivery.headers["content-type"] == "application/cloudevents+json"
        assert delivery.headers["webhook-id"] == an_event().id


async def test_the_body_may_be_that_of_alertmanagers_webhooks() -> None:
    message = a_notification()

    async with a_pair(format="alertmanager", secret=SECRET) as (sink, receiver):
        await sink.deliver(message)

        [delivery] = receiver.deliveries
        assert delivery.body == alertmanager.body(message, receiver="oncall")
        assert delivery.headers["content-type"] == "application/json"
        verify(SECRET, delivery)


async def test_the_signature_is_what_the_receivers_library_expects() -> None:
    async with a_pair(secret=SECRET) as (sink, receiver):
        await sink.deliver(an_event())

        verify(SECRET, receiver.deliveries[0])
        with pytest.raises(WebhookVerificationError):
            verify(NEXT_SECRET, receiver.deliveries[0])


async def test_two_secrets_satisfy_receivers_before_and_after_a_rotation() -> None:
    async with a_pair(secret=f"{NEXT_SECRET} {SECRET}") as (sink, receiver):
        await sink.deliver(an_event())

        verify(SECRET, receiver.deliveries[0])
        verify(NEXT_SECRET, receiver.deliveries[0])


async def test_a_secret_may_be_plain_text() -> None:
    async with a_pair(secret="plain-secret") as (sink, receiver):
        await sink.deliver(an_event())

        verify(b"plain-secret", receiver.deliveries[0])


async def test_without_a_secret_nothing_is_signed() -> None:
    async with a_pair() as (sink, receiver):
        await sink.deliver(an_event())

        assert "webhook-signature" not in receiver.deliveries[0].headers


@given(st.text(min_size=1), st.integers(0, 2**33), st.text())
def test_signatures_agree_with_the_library_for_any_message(
    id_: str, second: int, body: str
) -> None:
    ours = signature.headers(signature.keys(SECRET), id_, second, body.encode())
    when = datetime.fromtimestamp(second, UTC)

    assert ours["webhook-signature"] == Webhook(SECRET).sign(id_, when, body)


async def test_headers_are_sent_and_the_files_come_after(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer abc\n\nX-Two: 2\n")

    async with a_pair(headers={"X-Team": "sre"}, headers_file=tmp_path / "headers") as (
        sink,
        receiver,
    ):
        await sink.deliver(an_event())

        sent = receiver.deliveries[0].headers
        assert (sent["x-team"], sent["x-two"]) == ("sre", "2")
        assert sent["authorization"] == "Bearer abc"


async def test_cookies_are_not_kept() -> None:
    async with a_pair() as (sink, receiver):
        receiver.answer = answering(200, Set_Cookie="session=1")
        await sink.deliver(an_event())
        await sink.deliver(an_event())

        assert "cookie" not in receiver.deliveries[1].headers


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(status: int) -> None:
    async with a_pair() as (sink, receiver):
        receiver.answer = answering(status)
        await sink.deliver(an_event())

        assert len(receiver.deliveries) == 1


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, errors.Undelivered) for status in (408, 409, 425, 429)),
        *((status, errors.Undelivered) for status in (500, 502, 503, 504, 599)),
        *((status, errors.Rejected) for status in (301, 302, 303, 307, 308)),
        *((status, errors.Rejected) for status in (400, 401, 403, 404, 410, 422)),
    ],
)
async def test_the_status_is_the_verdict(
    status: int, verdict: type[errors.SinkError]
) -> None:
    async with a_pair() as (sink, receiver):
        receiver.answer = answering(status, "because")
        with pytest.raises(verdict, match=f"answered {status}"):
            await sink.deliver(an_event())

        assert len(receiver.deliveries) == 1


async def test_a_redirect_is_not_followed() -> None:
    async with receiving() as elsewhere, a_pair() as (sink, receiver):
        receiver.answer = answering(307, Location=elsewhere.url)
        with pytest.raises(errors.Rejected, match="put the final address into url"):
            await sink.deliver(an_event())

        assert elsewhere.deliveries == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9" * 400, 86400),
        ("Sat, 01 Aug 2026 12:01:00 GMT", 60),
        ("Sat, 01 Aug 2026 12:01:00 -0000", 60),
        ("Sat, 01 Aug 2026 11:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_a_day_at_most(
    value: str, seconds: int | None
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)

    assert http.retry_after(value, SEEN_AT) == expected


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_travels_with_the_error(status: int) -> None:
    async with a_pair() as (sink, receiver):
        receiver.answer = answering(status, Retry_After="7")
        with pytest.raises(errors.Undelivered) as refused:
            await sink.deliver(an_event())

        assert refused.value.retry_after == timedelta(seconds=7)


async def test_256_printable_characters_of_an_answer_are_shown() -> None:
    async with a_pair() as (sink, receiver):
        receiver.answer = answering(400, "\x1b[31m\u202e" + "x" * 10_000)
        with pytest.raises(errors.Rejected) as refused:
            await sink.deliver(an_event())

    said = str(refused.value).partition("answered 400: ")[2]
    assert said.startswith("\\u001b[31m\\u202exxx")
    assert said.endswith("x…")
    assert said.count("x") == 256 - len("\x1b[31m\u202e…")


async def test_a_body_without_end_does_not_hold_up_the_verdict() -> None:
    async with a_pair() as (sink, receiver):
        receiver.answer = babbling
        with pytest.raises(errors.Rejected, match="answered 400: xxx"):
            await sink.deliver(an_event())


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("status", "verdict"), [("400 No", errors.Rejected), ("503 No", errors.Undelivered)]
)
async def test_a_body_that_never_comes_does_not_change_the_verdict(
    status: str, verdict: type[errors.SinkError]
) -> None:
    promised = f"HTTP/1.1 {status}\r\nContent-Length: 9\r\n\r\n"

    async with speaking(promised.encode()) as origin, a_sink(origin) as sink:
        with pytest.raises(verdict, match=f"answered {status[:3]}"):
            await sink.deliver(an_event())


async def test_a_2xx_counts_although_its_body_never_comes() -> None:
    promised = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"

    async with speaking(promised) as origin, a_sink(origin) as sink:
        await sink.deliver(an_event())


async def test_a_refused_secret_is_read_anew_for_the_next_try(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)

    async with a_pair(secret_file=file) as (sink, receiver):
        receiver.answer = answering(401)
        file.write_text(f"{NEXT_SECRET}\n")
        with pytest.raises(errors.Undelivered, match="read anew"):
            await sink.deliver(an_event())
        receiver.answer = answering(204)
        await sink.deliver(an_event())

        verify(SECRET, receiver.deliveries[0])
        verify(NEXT_SECRET, receiver.deliveries[1])


async def test_all_that_were_refused_with_the_old_secret_are_tried_again(
    tmp_path: Path,
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)
    verdicts: list[errors.SinkError] = []

    async def refused(sink: WebhookSink, sequence: int) -> None:
        with pytest.raises(errors.SinkError) as verdict:
            await sink.deliver(an_event(sequence=sequence))
        verdicts.append(verdict.value)

    async with a_pair(secret_file=file) as (sink, receiver):
        receiver.answer = answering(401)
        file.write_text(NEXT_SECRET)
        async with anyio.create_task_group() as tasks:
            for sequence in range(1, 9):
                tasks.start_soon(refused, sink, sequence)

    assert [type(verdict) for verdict in verdicts] == [errors.Undelivered] * 8


@pytest.mark.parametrize("broken", [b"", b"whsec_!", b"\xff", None])
async def test_a_secret_that_cannot_be_read_anew_is_waited_for(
    tmp_path: Path, broken: bytes | None
) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET)

    async with a_pair(secret_file=file) as (sink, receiver):
        receiver.answer = answering(403)
        file.unlink() if broken is None else file.write_bytes(broken)
        with pytest.raises(errors.Undelivered, match=str(file)):
            await sink.deliver(an_event())


@pytest.mark.parametrize("broken", [b"", b"whsec_!", b"\xff", None])
async def test_a_secret_that_cannot_be_read_at_first_is_a_misconfiguration(
    tmp_path: Path, broken: bytes | None
) -> None:
    file = tmp_path / "secret"
    if broken is not None:
        file.write_bytes(broken)

    with pytest.raises(errors.Misconfigured, match=str(file)):
        async with a_sink("http://127.0.0.1", secret_file=file):
            pass


async def test_a_receiver_that_is_down_is_tried_again() -> None:
    async with receiving() as receiver:
        url = receiver.url

    async with a_sink(url) as sink:
        with pytest.raises(errors.Undelivered, match="cannot be reached"):
            await sink.deliver(an_event())


async def test_what_is_no_http_is_tried_again() -> None:
    greeting = b"220 mail.example.com ESMTP\r\n\r\n"

    async with speaking(greeting) as origin, a_sink(origin) as sink:
        with pytest.raises(errors.Undelivered, match="cannot be reached"):
            await sink.deliver(an_event())


async def test_a_connection_that_is_cut_is_tried_again() -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with receiving(cut) as receiver, a_sink(receiver.url) as sink:
        with pytest.raises(errors.Undelivered, match="cannot be reached"):
            await sink.deliver(an_event())


async def test_a_certificate_is_checked_against_ca_file(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async with receiving(tls=tls_of(authority, ["127.0.0.1"])) as receiver:
        async with a_sink(receiver.url) as sink:
            with pytest.raises(errors.Undelivered, match="name its authority in ca_f"):
                await sink.deliver(an_event())
        async with a_sink(receiver.url, ca_file=tmp_path / "ca.pem") as sink:
            await sink.deliver(an_event())

        assert len(receiver.deliveries) == 1


async def test_a_certificate_of_another_name_is_not_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async with (
        receiving(tls=tls_of(authority, ["hooks.example.com"])) as receiver,
        a_sink(receiver.url, ca_file=tmp_path / "ca.pem") as sink,
    ):
        with pytest.raises(errors.Undelivered, match="not trusted"):
            await sink.deliver(an_event())

        assert receiver.deliveries == []


async def test_a_ca_file_without_certificates_is_a_misconfiguration(
    tmp_path: Path,
) -> None:
    (tmp_path / "ca.pem").write_text("")

    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(errors.Misconfigured, match=name):
            async with a_sink("https://127.0.0.1", ca_file=tmp_path / name):
                pass


def tls_of(authority: trustme.CA, names: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


def verify(secret: str | bytes, delivery: Delivery) -> None:
    Webhook(secret).verify(delivery.body, delivery.headers)
