import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from monitor import errors
from monitor.job import carrier
from monitor.job.carrier import Answer, Carrier, Route
from monitor.sizes import Size
from tests.job.servers import saying, serving

SECRET = "s3cr3t"
HEADERS = {"X-Bkapi-Authorization": SECRET}
SHORT = timedelta(milliseconds=100)


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Carrier]:
    options = {"timeout": timedelta(seconds=5)} | options
    route = Route(url=url, **options)
    async with carrier.opened(route, {"User-Agent": "test"}) as opened:
        yield opened


async def post(url: str, **options: Any) -> Answer:
    async with opened(url, **options) as ours:
        return await ours.post("/x", SECRET.encode(), HEADERS)


async def mishap(url: str, kind: type[errors.SourceError], **options: Any) -> Any:
    with pytest.raises(kind) as caught:
        await post(url, **options)

    assert SECRET not in str(caught.value)
    assert str(caught.value).isprintable()
    return caught.value


async def test_the_answer_comes_back_as_it_was_given() -> None:
    async def answer(request: web.Request) -> web.Response:
        said = await request.read() + request.headers["User-Agent"].encode()
        return web.Response(status=418, body=said, headers={"X-A": "b"})

    async with serving(answer, path="/x") as url:
        came = await post(url + "/")

    assert (came.status, came.body) == (418, b"s3cr3ttest")
    assert came.headers["x-a"] == "b"


async def test_the_url_may_have_a_path() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="here")

    async with serving(answer, path="/paas/x") as url:
        assert (await post(f"{url}/paas/")).body == b"here"


async def test_a_query_arrives_as_it_was_encoded_and_without_a_body() -> None:
    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(text=f"{request.method} {request.raw_path} {body!r}")

    async with serving(answer, path="/paas/x") as url, opened(f"{url}/paas/") as ours:
        came = await ours.get("/x", "a=%2B%26&b=1", HEADERS)

    assert came.body == b"GET /paas/x?a=%2B%26&b=1 b''"


async def test_a_get_on_a_kept_connection_that_was_closed_is_repeated() -> None:
    async with saying(KEPT) as (url, connections), opened(url) as ours:
        answers = [(await ours.get("/x", "a=1")).body for _ in range(3)]

    assert answers == [b"{}"] * 3
    assert connections == [3]


async def test_of_a_longer_answer_no_more_than_asked_for_is_read() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1_000_000)

    async with (
        serving(answer, path="/x") as url,
        opened(url, max_body=1_000_000) as ours,
    ):
        cut = await ours.post("/x", b"", None, 999_999)
        whole = await ours.post("/x", b"", None, 1_000_000)

    assert (len(cut.body), cut.cut) == (999_999, True)
    assert (len(whole.body), whole.cut) == (1_000_000, False)


async def test_the_limit_of_all_answers_holds_for_those_that_are_cut() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * 1_000_000)

    async with serving(answer, path="/x") as url, opened(url, max_body=10) as ours:
        cut = await ours.post("/x", b"", None, 999_999)

    assert cut.body == b"x" * 10


async def test_cookies_are_not_kept() -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(text=str(dict(request.cookies)))
        response.set_cookie("session", "1")
        return response

    async with serving(answer, path="/x") as url, opened(url) as ours:
        await ours.post("/x", b"")
        assert (await ours.post("/x", b"")).body == b"{}"


async def test_one_connection_serves_many_requests() -> None:
    peers = set()

    async def answer(request: web.Request) -> web.Response:
        assert request.transport
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(body=b"x" * 200_000)

    async with serving(answer, path="/x") as url, opened(url) as ours:
        for _ in range(3):
            await ours.post("/x", b"")

    assert len(peers) == 1


async def test_a_server_that_never_answers_is_unavailable_in_time() -> None:
    async def answer(_: web.Request) -> web.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(answer, path="/x") as url:
        error = await mishap(url, errors.Unavailable, timeout=SHORT)

    assert str(error) == "no answer in time"


async def test_a_server_that_stops_within_its_answer_is_unavailable_in_time() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{")
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(answer, path="/x") as url:
        error = await mishap(url, errors.Unavailable, timeout=SHORT)

    assert str(error) == "no answer in time"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "it hung up without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", "its answer broke off"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
            "its answer broke off",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
            "its answer was no HTTP",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
            "its answer broke off",
        ),
        (b"s3cr3t SSH-2.0-OpenSSH\r\n\r\n", "its answer was no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"s3cr3t" * 9999, "its answer was no HTTP"),
    ],
)
async def test_a_broken_answer_is_unavailable(said: bytes, text: str) -> None:
    async with saying(said) as (url, _):
        error = await mishap(url, errors.Unavailable)

    assert str(error).startswith(text)


async def test_nobody_listening_is_unavailable() -> None:
    async with saying(b"") as (url, _):
        pass

    error = await mishap(url, errors.Unavailable)

    assert str(error).startswith("no connection: ")


async def test_a_name_that_does_not_exist_is_unavailable() -> None:
    error = await mishap("http://job.invalid", errors.Unavailable)

    assert str(error).startswith("its name cannot be resolved")


KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


async def test_a_kept_connection_that_was_closed_is_replaced_for_free() -> None:
    async with saying(KEPT) as (url, connections), opened(url) as ours:
        answers = [(await ours.post("/x", b"")).body for _ in range(3)]

    assert answers == [b"{}"] * 3
    assert connections == [3]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_new_connection_that_is_closed_is_not_tried_again(host: str) -> None:
    async with saying(b"", KEPT) as (url, connections):
        await mishap(url.replace("127.0.0.1", host), errors.Unavailable)

        assert connections == [1]


async def test_a_kept_connection_is_replaced_only_once() -> None:
    async with saying(KEPT, b"", KEPT) as (url, connections), opened(url) as ours:
        await ours.post("/x", b"")
        with pytest.raises(errors.Unavailable):
            await ours.post("/x", b"")

        assert connections == [2]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_of_any_wrapping_is_garbled_beyond_the_limit(
    chunked: bool,  # noqa: FBT001
    packed: bool,  # noqa: FBT001
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.Response(body=await request.read() + b"\0" * 100_000)
        if packed:
            response.enable_compression(web.ContentCoding.gzip)
        if chunked:
            response.enable_chunked_encoding()
        return response

    async with serving(answer, path="/x") as url:
        error = await mishap(url, errors.Garbled, max_body=100_000)

        assert not error.whole_source
        assert len((await post(url, max_body=100_006)).body) == 100_006


async def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    bomb = gzip.compress(b"\0" * 64 * 1024 * 1024)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    async with serving(answer, path="/x") as url:
        error = await mishap(url, errors.Garbled, max_body=Size(1024 * 1024))

    assert str(error) == "the answer is longer than 1048576 bytes"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": "/x?t=s3cr3t"})

    async with serving(answer, path="/x") as url:
        error = await mishap(url, errors.Garbled)

    assert error.whole_source
    assert asked == ["/x"]


async def ok(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def server_tls(authority: trustme.CA, *, clients: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    if clients:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED

    return context


async def test_a_certificate_of_our_authority_is_trusted(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")

    async with serving(ok, path="/x", tls=server_tls(authority)) as url:
        answer = await post(url, ca_file=tmp_path / "ca.pem")

    assert answer.body == b"ok"


async def test_a_certificate_of_a_stranger_is_refused(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")

    async with serving(ok, path="/x", tls=server_tls(trustme.CA())) as url:
        ours = await mishap(url, errors.Unavailable, ca_file=tmp_path / "ca.pem")
        worlds = await mishap(url, errors.Unavailable)

    assert str(ours).startswith("its certificate is not trusted: ")
    assert str(worlds).startswith("its certificate is not trusted: ")


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.example").configure_cert(context)

    async with serving(ok, path="/x", tls=context) as url:
        await mishap(url, errors.Unavailable, ca_file=tmp_path / "ca.pem")


async def test_a_client_certificate_is_shown(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    client = authority.issue_cert("us@example.com")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    files = {
        "ca_file": tmp_path / "ca.pem",
        "client_cert_file": tmp_path / "cert.pem",
        "client_key_file": tmp_path / "key.pem",
    }

    async with serving(ok, path="/x", tls=server_tls(authority, clients=True)) as url:
        assert (await post(url, **files)).body == b"ok"
        await mishap(url, errors.Unavailable, ca_file=tmp_path / "ca.pem")


async def test_a_locked_key_is_a_misconfiguration_and_no_question(
    tmp_path: Path,
) -> None:
    client = trustme.CA().issue_cert("us@example.com")
    key = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"locked"),
    )
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    (tmp_path / "key.pem").write_bytes(locked)

    with pytest.raises(errors.Misconfigured, match=r"key\.pem"):
        await post(
            "https://localhost",
            client_cert_file=tmp_path / "cert.pem",
            client_key_file=tmp_path / "key.pem",
        )


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_an_unusable_certificate_file_is_a_misconfiguration(
    tmp_path: Path, content: str | None
) -> None:
    if content:
        (tmp_path / "ca.pem").write_text(content)

    with pytest.raises(errors.Misconfigured, match=r"ca\.pem"):
        await post("https://localhost", ca_file=tmp_path / "ca.pem")


async def test_a_proxy_is_asked_instead() -> None:
    async with saying(KEPT) as (proxy, connections):
        answer = await post("http://job.invalid", proxy=proxy)

    assert (answer.body, connections) == (b"{}", [1])


async def test_a_proxy_that_refuses_is_unavailable() -> None:
    said = b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n"
    async with saying(said) as (proxy, _):
        error = await mishap("https://job.invalid", errors.Unavailable, proxy=proxy)

    assert str(error).startswith("the proxy refused")


async def test_a_cancelled_request_does_not_poison_the_next() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if await request.read() == b"fast":
            return web.Response(text="fast")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"slow")
        await anyio.sleep_forever()
        raise AssertionError

    async with serving(answer, path="/x") as url, opened(url) as ours:
        with anyio.move_on_after(0.1):
            await ours.post("/x", b"slow")

        assert (await ours.post("/x", b"fast")).body == b"fast"
