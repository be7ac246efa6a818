from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from monitor import errors
from monitor.web import server
from monitor.web.config import WebConfig
from monitor.web.hints import Callbacks
from tests.support import clock
from tests.web.serving import Queue, checks, config, serving


async def test_it_lives_whether_or_not_it_is_ready() -> None:
    async with serving(ready=lambda: False) as site:
        live, ready = await site.get("/livez"), await site.get("/readyz")

    assert (live.status, ready.status) == (200, 503)
    assert ready.problem["detail"] == "the watch lists are not read yet"


async def test_it_is_ready_as_soon_as_that_is_said() -> None:
    said: list[bool] = []
    async with serving(ready=lambda: bool(said)) as site:
        before = await site.get("/readyz")
        said.append(True)
        after = await site.get("/readyz")

    assert (before.status, after.status) == (503, 200)


@pytest.mark.parametrize("path", ["/", "/nowhere", "/metrics/", "/callback", "/%2e%2e"])
async def test_an_unknown_path_is_a_problem(path: str) -> None:
    async with serving() as site:
        answer = await site.get(path)

    assert answer.status == 404
    assert answer.problem == {"title": "Not Found", "status": 404}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/nowhere"])
async def test_nothing_is_kept_by_caches_or_says_what_runs(path: str) -> None:
    async with serving() as site:
        answer = await site.get(path)

    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["server"] == "job-monitor"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8321",
        "LOCALHOST.",
        "127.0.0.1:1",
        "[::1]:8321",
        "10.0.0.5:8321",
        "monitor.example.com:8321",
        "Monitor.Example.com",
    ],
)
async def test_addresses_and_names_that_are_configured_may_be_used(host: str) -> None:
    async with serving(allow_hosts=("monitor.example.com",)) as site:
        answer = await site.get("/metrics", Host=host)

    assert answer.status == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "localhost.evil.example.com", "127.0.0.1.evil", ""]
)
async def test_other_names_are_refused_against_rebinding(host: str) -> None:
    async with serving() as site:
        answer = await site.get("/metrics", Host=host)

    assert answer.status == 421
    assert "web.allow_hosts" in answer.problem["detail"]


async def test_an_address_that_is_taken_is_named_with_a_remedy() -> None:
    async with serving() as site:
        taken = config(port=site.port)
        with pytest.raises(errors.Misconfigured) as caught:
            async with opened(taken):
                pass

    assert caught.value.faults == (
        (
            f"web.listen: 127.0.0.1:{site.port} is taken;"
            " stop what listens there, or choose another port"
        ),
    )


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("192.0.2.1", "is no address of this machine; choose one of its own"),
        ("nowhere.invalid", "cannot be listened on: "),
    ],
)
async def test_an_address_of_another_machine_is_refused(host: str, why: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        async with opened(config(host=host, port=8321)):
            pass

    assert str(caught.value).startswith(f"web.listen: {host}:8321 {why}")


async def test_the_same_address_can_be_opened_again_at_once() -> None:
    async with serving() as site:
        await site.get("/livez")
    async with serving(port=site.port) as again:
        assert (await again.get("/livez")).status == 200


async def test_a_client_that_dawdles_over_its_headers_is_cut_off() -> None:
    async with serving(idle=0.2) as site:
        stream = await anyio.connect_tcp("127.0.0.1", site.port)
        async with stream:
            await stream.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX")
            with anyio.fail_after(10), pytest.raises(anyio.EndOfStream):
                await stream.receive()


async def test_a_request_that_dawdles_does_not_hold_up_the_end() -> None:
    with anyio.fail_after(10):
        async with serving() as site:
            stream = await anyio.connect_tcp("127.0.0.1", site.port)
            await stream.send(
                b"POST /callback/t HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Length: 9\r\n\r\n{"
            )
    await stream.aclose()

    assert site.counts == {}


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\na\r\n"]
)
async def test_rubbish_is_answered_and_not_logged(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as site:
        stream = await anyio.connect_tcp("127.0.0.1", site.port)
        async with stream:
            await stream.send(sent)
            answer = await stream.receive()

    assert b" 400 " in answer.partition(b"\r\n")[0]
    assert caplog.records == []


def opened(given: WebConfig) -> AbstractAsyncContextManager[str]:
    callbacks = Callbacks(Queue().hint)
    return server.serving(
        given,
        callbacks=callbacks,
        meters=[],
        checks=checks(lambda: True),
        now=clock.now,
    )
