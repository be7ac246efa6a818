"""Acknowledgements: who cares for which incident."""

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from typing import Final, Protocol

from aiohttp import web

from monitor.core import quiet, routing, watch
from monitor.core.quiet import Ack, Entry
from monitor.ports import Now
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.page import PageData
from monitor.web.shapes.quiet import AckAsked, AckData, AcksData

PATH: Final = f"{api.ROOT}/acks"

_OF: Final = Parameter(name="of", help="A key or a group.", required=True)


class Acks(Protocol):
    def acks(self) -> list[Ack]: ...

    def full(self, entry: Entry) -> bool: ...

    async def say(self, entry: Entry) -> None: ...

    async def unsay(self, ack: Ack) -> None: ...


class Incidents(Protocol):
    """Where alerts are told: by group."""

    def groups_of(self, key: str) -> Collection[str]: ...

    def groups(self) -> Collection[str]: ...


async def nothing(_: Collection[str]) -> None:
    """There is nobody else who could know more."""


def operations(
    known: Acks,
    incidents: Incidents,
    sources: Collection[str],
    now: Now,
    learn: Callable[[Collection[str]], Awaitable[None]] = nothing,
) -> list[Operation]:
    """*learn* hears at once what other nodes recorded about keys, else within a second."""

    async def listed(request: web.Request) -> web.Response:
        places = [((ack.group,), ack) for ack in in_force(known, now())]
        return asked.answer(asked.page(request, places, data))

    async def acknowledge(request: web.Request) -> web.Response:
        wanted = await asked.body(request, AckAsked)
        await learn(_full(wanted.of, incidents, sources))
        acks = [
            _ack(group, wanted, now())
            for group in _groups(wanted.of, incidents, sources)
        ]
        for ack in acks:
            asked.check_room(full=known.full(ack))
            await known.say(ack)
        return asked.answer(AcksData(acks=[data(ack) for ack in acks]), 201)

    async def end(request: web.Request) -> web.Response:
        of = request.query.get("of", "")
        groups = {of, *_full(of, incidents, sources)}
        found = [ack for ack in in_force(known, now()) if ack.group in groups]
        if not found:
            raise web.HTTPNotFound(text=f"nobody has acknowledged {of!r}")
        for ack in found:
            await known.unsay(ack)
        return asked.answer(AcksData(acks=[data(ack) for ack in found]))

    return [
        operation.get(
            PATH,
            listed,
            "List who cares for which incident.",
            PageData[AckData],
            query=operation.PAGED,
        ),
        operation.post(
            PATH,
            acknowledge,
            "Care for an incident.",
            AcksData,
            body=AckAsked,
            status=201,
            refusals=(404, 409),
        ),
        operation.delete(
            PATH,
            end,
            "Care for it no more.",
            AcksData,
            query=(_OF,),
            refusals=(404,),
        ),
    ]


def in_force(known: Acks, now: datetime) -> list[Ack]:
    return [ack for ack in known.acks() if ack.now(now) is not None]


def _groups(of: str, incidents: Incidents, sources: Collection[str]) -> Collection[str]:
    groups = {*_full(of, incidents, sources)} & {*incidents.groups()}
    if not groups:
        raise web.HTTPNotFound(
            text=f"nothing is wrong with {of!r}, so that there is nothing to"
            " acknowledge; see job-monitor alerts"
        )
    return sorted(groups)


def _full(of: str, incidents: Incidents, sources: Collection[str]) -> Collection[str]:
    """Name the groups that are meant by a key, which may be short."""
    if routing.is_several(of):
        return [of]
    try:
        key = str(watch.parse_key(of, sources=tuple(sources)))
    except ValueError:
        key = of
    return {key, *incidents.groups_of(key)}


def _ack(group: str, wanted: AckAsked, now: datetime) -> Ack:
    ends_at = asked.moment("ends_at", wanted.ends_at)
    with asked.refusing("ends_at"):
        quiet.check_order(now, ends_at)
    return Ack(
        group=group,
        author=wanted.author,
        at=now,
        ends_at=ends_at,
        sticky=wanted.sticky,
        comment=wanted.comment,
    )


def data(ack: Ack) -> AckData:
    return AckData(
        group=ack.group,
        author=ack.author,
        at=ack.at,
        ends_at=ack.ends_at,
        sticky=ack.sticky,
        comment=ack.comment,
    )
