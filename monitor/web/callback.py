"""JOB's callback: moves an instance to the front of the queue, and does no more.

Callbacks are unsigned, tried twice at most, and sent for some ends only: a hint to
look now, while the truth is what the visit sees. Who forges one costs a poll, and
polls are rationed.
Source: bk-job CallbackListener.java, JobCallbackDTO.java, read 2026-11.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import anyio
from aiohttp import web

from monitor import metering
from monitor.metering import Sample
from monitor.web import gate, report
from monitor.web.allowance import Allowance
from monitor.web.early import Early

Hint = Callable[[int], int]
"""Moves the instances with this job_instance_id, of whatever source and scope, to
the front of the queue; says how many are watched."""

PATH: Final = "/callback/{token}"

BODY_MAX: Final = 256 * 1024
"""Bytes. A step takes some fifty, and a job may have thousands."""

BODY_WITHIN: Final = 10.0
"""Seconds, below the 15 after which JOB gives up."""


class Callbacks:
    """What has come and what became of it; a ``Meter``."""

    def __init__(self, hint: Hint) -> None:
        self._hint = hint
        self._allowance = Allowance()
        self._early = Early()
        self._counts = Counter[str]()

    def take(self, job_instance_id: int, now: float) -> None:
        if not self._allowance.allows(job_instance_id, now):
            self.count("held_back")
        elif self._moved(job_instance_id, now):
            self.count("moved")
        else:
            self._early.remember(job_instance_id, now)
            self.count("unknown")

    def watches_added(self, now: float) -> None:
        """Visit at once those of the added that have called back already."""
        for job_instance_id in self._early.waiting(now):
            if self._moved(job_instance_id, now):
                self._early.forget(job_instance_id)

    def count(self, result: str) -> None:
        self._counts[result] += 1

    def samples(self) -> Iterable[Sample]:
        return metering.callbacks(self._counts)

    def _moved(self, job_instance_id: int, now: float) -> bool:
        moved = self._hint(job_instance_id)
        if moved:
            self._allowance.spend(job_instance_id, moved, now)
        return moved > 0


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
        return web.json_response({"result": True})

    return web.post(PATH, take)


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_MAX, request.content_length or 0)
    try:
        with anyio.fail_after(BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
