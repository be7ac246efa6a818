"""JOB's callback as a request: its token, its size, its answer.

What it asks for is for ``hints`` to grant; nothing else in it is used.
"""

from typing import Final

import anyio
from aiohttp import web

from monitor.web import gate, report
from monitor.web.hints import Callbacks

PATH: Final = "/callback/{token}"

BODY_MAX: Final = 256 * 1024
"""Bytes. A step takes some fifty, and a job may have thousands."""

BODY_WITHIN: Final = 10.0
"""Seconds, below the 15 after which JOB gives up."""


def route(callbacks: Callbacks, token: str | None) -> web.RouteDef:
    """Serve *callbacks* to who knows *token*; None: to everybody who gets here."""

    async def take(request: web.Request) -> web.Response:
        if token is not None and not gate.same(request.match_info["token"], token):
            callbacks.count("refused")
            raise web.HTTPNotFound
        body = await _body(request)
        try:
            job_instance_id = report.job_instance_id(body)
        except ValueError as wrong:
            callbacks.count("malformed")
            raise web.HTTPBadRequest(text=str(wrong)) from None
        callbacks.take(job_instance_id, anyio.current_time())
        # The same for all, so that it tells nobody what is watched; and 200 also for
        # what is held back, for anything else would be sent again at once.
        answer = web.json_response({"result": True})
        # JOB pools its connections. One that we closed while it was idle would cost
        # the next callback, for after an exception there is no second try.
        # Source: bk-job CallbackListener.java, HttpConPoolUtil.java, read 2026-11.
        answer.force_close()
        return answer

    return web.post(PATH, take)


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_MAX, request.content_length or 0)
    try:
        with anyio.fail_after(BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
