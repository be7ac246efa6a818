"""Send again what was recorded in a time past, under the ids that it had."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from aiohttp import web

from monitor import errors
from monitor.core.matchers import Matcher
from monitor.ports import Replayed
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.delivery import ReplayAsked, ReplayedData

PATH: Final = f"{api.ROOT}/replay"


class Replaying(Protocol):
    async def replay(
        self,
        sink: str,
        since: datetime,
        until: datetime | None,
        wanted: Sequence[Matcher],
        *,
        dry: bool,
    ) -> Replayed:
        """Raises ``errors.NotFound`` without such a sink, ``TooMuch`` for more than fits."""
        ...


def operations(replaying: Replaying) -> list[Operation]:
    async def replay(request: web.Request) -> web.Response:
        wanted = await asked.body(request, ReplayAsked)
        asked.moment("since", wanted.since)
        asked.moment("until", wanted.until)
        try:
            done = await replaying.replay(
                wanted.sink,
                wanted.since,
                wanted.until,
                asked.matchers_of(wanted.match),
                dry=wanted.dry,
            )
        except errors.NotFound as missing:
            raise web.HTTPNotFound(text=str(missing)) from None
        except errors.TooMuch as too_much:
            raise web.HTTPConflict(text=str(too_much)) from None
        return asked.answer(
            ReplayedData(
                events=done.events,
                notifications=done.notifications,
                already=done.already,
            )
        )

    return [
        operation.post(
            PATH,
            replay,
            "Send a sink again what it was sent before.",
            ReplayedData,
            body=ReplayAsked,
            refusals=(404, 409),
        )
    ]
