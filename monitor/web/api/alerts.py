"""What holds now, the worst first."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Final, Protocol

import anyio.lowlevel
from aiohttp import web
from msgspec import Struct

from monitor.core import matchers, notifications, wording
from monitor.core.alerts import Alert
from monitor.core.matchers import Matcher
from monitor.core.member import Member
from monitor.core.telling import Case
from monitor.core.wording import Frame
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.asked import Span
from monitor.web.api.operation import Operation
from monitor.web.shapes.alerts import AlertData
from monitor.web.shapes.page import PageData

PATH: Final = f"{api.ROOT}/alerts"

_TURN: Final = 250
"""Alerts that are looked at in one turn of the loop, a few milliseconds."""

Traits = Callable[[Member, Alert], Mapping[str, str]]
Place = tuple[bool, int, int, str]


class Holding(Protocol):
    """The part of ``Ledger`` that knows what holds."""

    async def alerting(self) -> list[str]: ...

    async def members(self, keys: Collection[str]) -> list[Member]: ...


class _Held(Struct, frozen=True):
    place: Place
    member: Member
    alert: Alert


def operations(
    holding: Holding, traits: Traits, frame: Callable[[str], Frame]
) -> list[Operation]:
    async def show(request: web.Request) -> web.Response:
        wanted, span = asked.matching(request), asked.span(request, Place)
        members = await holding.members(await holding.alerting())
        found = await fitting(members, wanted, traits)
        return asked.answer(_page(found, span, frame))

    return [
        operation.get(
            PATH,
            show,
            "List what is wrong now, the worst first.",
            PageData[AlertData],
            query=(*operation.PAGED, operation.MATCH),
        )
    ]


async def fitting(
    members: Collection[Member], wanted: Sequence[Matcher], traits: Traits
) -> list[_Held]:
    """Give what is held and wanted; between every few hundred others have a turn."""
    found = []
    for number, held in enumerate(_held(members), 1):
        if not wanted or matchers.all_match(wanted, traits(held.member, held.alert)):
            found.append(held)
        if not number % _TURN:
            await anyio.lowlevel.checkpoint()
    return found


def _held(members: Collection[Member]) -> Iterator[_Held]:
    for member in members:
        for alert in member.alerts.values():
            case = Case(id=f"{member.key}!{alert.id}", key=member.key, alert=alert)
            yield _Held(notifications.rank(case), member, alert)


def _page(
    found: list[_Held], span: Span, frame: Callable[[str], Frame]
) -> PageData[AlertData]:
    behind = sorted(
        (each for each in found if span.after is None or each.place > span.after),
        key=lambda each: each.place,
    )
    shown = behind[: span.limit]
    more = len(behind) > len(shown)
    return PageData(
        items=[data(each.member, each.alert, frame(each.member.key)) for each in shown],
        next=asked.place_text(shown[-1].place) if more else None,
    )


def data(member: Member, alert: Alert, frame: Frame) -> AlertData:
    known = member.snapshot
    return AlertData(
        key=member.key,
        id=alert.id,
        name=alert.name,
        severity=alert.severity,
        since=alert.since,
        instance=wording.instance_data(frame, known),
        labels=frame.labels,
        step=wording.step_data(alert.attempt),
        summary=wording.summary(alert, frame.locale),
        failed=alert.failed,
        total=alert.total,
        link=wording.link(frame, known, alert.attempt),
    )
