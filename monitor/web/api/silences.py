"""Silences: listed, made, ended."""

from datetime import datetime
from secrets import token_hex
from typing import Final, Protocol

from aiohttp import web

from monitor.core import quiet
from monitor.core.quiet import Entry, Maintenance, Origin, Silence
from monitor.ports import Now
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.page import PageData
from monitor.web.shapes.quiet import SilenceAsked, SilenceData

PATH: Final = f"{api.ROOT}/silences"


class Silences(Protocol):
    def silences(self) -> list[Silence]: ...

    def full(self, entry: Entry) -> bool: ...

    async def say(self, entry: Entry) -> None: ...

    async def expire(self, entry: Silence | Maintenance) -> Silence | Maintenance: ...


def operations(known: Silences, now: Now) -> list[Operation]:
    def found(request: web.Request) -> Silence:
        id_ = request.match_info["id"]
        for silence in known.silences():
            if silence.id == id_:
                return silence
        raise web.HTTPNotFound(text=f"there is no silence {id_}")

    async def listed(request: web.Request) -> web.Response:
        places = [((s.ends_at.timestamp(), s.id), s) for s in known.silences()]
        page = asked.page(request, places, lambda s: data(s, now()))
        return asked.answer(page)

    async def show(request: web.Request) -> web.Response:
        return asked.answer(data(found(request), now()))

    async def make(request: web.Request) -> web.Response:
        made = _silence(await asked.body(request, SilenceAsked), now())
        asked.check_room(full=known.full(made))
        await known.say(made)
        return asked.answer(data(made, now()), 201)

    async def end(request: web.Request) -> web.Response:
        silence = found(request)
        asked.check_ours(ours=silence.origin is Origin.API)
        ended = await known.expire(silence)
        assert isinstance(ended, Silence)  # noqa: S101 - it stays what it is
        return asked.answer(data(ended, now()))

    one = f"{PATH}/{{id}}"
    return [
        operation.get(
            PATH, listed, "List silences.", PageData[SilenceData], query=operation.PAGED
        ),
        operation.post(
            PATH,
            make,
            "Tell nobody of what matches, for a time.",
            SilenceData,
            body=SilenceAsked,
            status=201,
            refusals=(409,),
        ),
        operation.get(one, show, "Show a silence.", SilenceData, refusals=(404,)),
        operation.delete(one, end, "End a silence.", SilenceData, refusals=(404, 409)),
    ]


def _silence(wanted: SilenceAsked, now: datetime) -> Silence:
    starts_at = asked.moment("starts_at", wanted.starts_at) or now
    ends_at = asked.moment("ends_at", wanted.ends_at)
    assert ends_at is not None  # noqa: S101 - it is required
    with asked.refusing("ends_at"):
        quiet.check_order(max(starts_at, now), ends_at)
    return Silence(
        id=token_hex(4),
        matchers=asked.matchers_of(wanted.matchers),
        starts_at=starts_at,
        ends_at=ends_at,
        author=wanted.author,
        comment=wanted.comment,
    )


def data(silence: Silence, now: datetime) -> SilenceData:
    return SilenceData(
        id=silence.id,
        state=asked.state(now, silence.starts_at, silence.ends_at),
        matchers=[str(matcher) for matcher in silence.matchers],
        starts_at=silence.starts_at,
        ends_at=silence.ends_at,
        author=silence.author,
        comment=silence.comment,
        origin=silence.origin,
    )
