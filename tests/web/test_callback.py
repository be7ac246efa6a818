"""JOB calls back, on a real socket."""

import json
import logging
from collections.abc import AsyncIterator

import anyio
import pytest

from monitor.web.callback import BODY_MAX
from tests.web.serving import FORM, JSON, Queue, Site, serving

SENT = {
    "job_instance_id": 7,
    "status": 3,
    "step_instances": [{"step_instance_id": 1, "status": 3}],
}


async def test_both_bodies_of_job_move_the_instance() -> None:
    queue = Queue(7, 8)
    async with serving(queue) as site:
        first = await site.calls_back(SENT, headers=JSON)
        again = await site.calls_back({**SENT, "job_instance_id": "8"}, headers=FORM)

    assert (first.status, again.status) == (200, 200)
    assert queue.moved == [7, 8]


async def test_an_instance_that_nobody_watches_is_answered_no_differently() -> None:
    async with serving(Queue(7)) as site:
        known = await site.calls_back(SENT)
        unknown = await site.calls_back({"job_instance_id": 9})

    assert json.loads(known.body) == {"result": True}
    assert (known.status, known.body) == (unknown.status, unknown.body)


async def test_no_connection_is_left_that_might_be_stale_when_it_is_used() -> None:
    async with serving(Queue(7)) as site:
        answer = await site.calls_back(SENT)

    assert answer.headers["connection"] == "close"


async def test_an_early_callback_is_made_good_when_the_watch_comes() -> None:
    queue = Queue()
    async with serving(queue) as site:
        await site.calls_back(SENT)
        queue.watched.add(7)
        site.callbacks.watches_added(anyio.current_time())

    assert queue.moved == [7]


async def test_repeated_callbacks_are_all_answered_and_move_once() -> None:
    queue = Queue(7)
    async with serving(queue) as site:
        answers = [await site.calls_back(SENT) for _ in range(3)]

    assert [answer.status for answer in answers] == [200] * 3
    assert queue.moved == [7]


@pytest.mark.parametrize("token", ["wrong", "", "secret/", "secret%2F", "%FF", "秘密"])
async def test_a_forged_token_is_as_good_as_no_page(token: str) -> None:
    queue = Queue(7)
    async with serving(queue, callback_token="secret") as site:
        forged = await site.calls_back(SENT, secret=token)
        nowhere = await site.ask("POST", "/nowhere")

    assert forged.status == 404
    assert forged.problem == nowhere.problem
    assert queue.moved == []


async def test_the_token_may_need_quoting() -> None:
    queue = Queue(7)
    async with serving(queue, callback_token="a/b %秘") as site:
        answer = await site.calls_back(SENT, secret="a%2Fb%20%25%E7%A7%98")

    assert answer.status == 200
    assert queue.moved == [7]


async def test_with_a_callback_token_the_other_token_opens_nothing() -> None:
    async with serving(Queue(7), token="admin", callback_token="secret") as site:
        admin = await site.calls_back(SENT, secret="admin")
        own = await site.calls_back(SENT, secret="secret")

    assert (admin.status, own.status) == (404, 200)


async def test_without_a_callback_token_the_token_counts() -> None:
    async with serving(Queue(7), token="admin") as site:
        wrong = await site.calls_back(SENT, secret="x")
        right = await site.calls_back(SENT, secret="admin")

    assert (wrong.status, right.status) == (404, 200)


async def test_rubbish_is_refused_with_what_would_be_right() -> None:
    queue = Queue(7)
    async with serving(queue) as site:
        answer = await site.calls_back(b"job finished")
        refused = site.counts

    assert answer.status == 400
    assert "job_instance_id" in answer.problem["detail"]
    assert refused == {"malformed": 1}
    assert queue.moved == []


async def test_compressed_bodies_are_not_unpacked() -> None:
    async with serving(Queue(7)) as site:
        headers = {**JSON, "Content-Encoding": "gzip"}
        answer = await site.calls_back(b"\x1f\x8b" + b"0" * 40, headers=headers)

    assert answer.status == 400


async def test_a_report_of_thousands_of_steps_is_taken() -> None:
    steps = [{"step_instance_id": 20_000_000_000 + n, "status": 3} for n in range(4000)]
    async with serving(Queue(7)) as site:
        answer = await site.calls_back({**SENT, "step_instances": steps})

    assert answer.status == 200


async def test_a_body_that_is_too_large_is_refused_however_it_is_announced() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(2 + BODY_MAX // 4096):
            yield b" " * 4096

    async with serving(Queue(7)) as site:
        announced = await site.calls_back(b" " * (BODY_MAX + 1))
        unannounced = await site.ask("POST", "/callback/t", data=chunks())

    assert (announced.status, unannounced.status) == (413, 413)
    assert announced.problem["title"] == "Request Entity Too Large"


async def test_job_may_use_a_name_that_no_browser_may() -> None:
    async with serving(Queue(7)) as site:
        headers = {**JSON, "Host": "monitor.example.com"}
        answer = await site.calls_back(SENT, headers=headers)

    assert answer.status == 200


async def test_only_post_is_a_callback() -> None:
    async with serving() as site:
        answer = await site.get("/callback/t")

    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


async def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(Queue(7), callback_token="canary1") as site:
        with caplog.at_level(logging.DEBUG):
            await site.calls_back(SENT, secret="canary1")
            await site.calls_back(SENT, secret="canary2")
            await site.calls_back(b"?", secret="canary1")
            await raw(site, b"POST /callback/canary1 HTTP/9.9\r\n\r\n")
            await raw(site, b"POST /callback/canary1\x00 HTTP/1.1\r\n\r\n")

    assert "canary" not in caplog.text


async def raw(site: Site, sent: bytes) -> bytes:
    async with await anyio.connect_tcp("127.0.0.1", site.port) as stream:
        await stream.send(sent)
        return await stream.receive()
