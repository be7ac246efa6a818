"""Alerts that hold or were raised of late, and the ways they take: to try routes with."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Final, Protocol

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, structs

from monitor.core import events, explaining, routing, wording
from monitor.core.alerts import Alert, Kind, Name
from monitor.core.member import Member
from monitor.core.message import Message
from monitor.core.telling import Obstacle
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.core.ways import Traits, Ways
from monitor.core.wording import Frame
from monitor.web import api
from monitor.web.api import asked, named, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.page import PageData
from monitor.web.shapes.routes import RoutedData

PATH: Final = f"{api.ROOT}/routes"

RAISED: Final = (Kind.RAISED, Kind.CHANGED)

_Position = Annotated[int, Meta(ge=-1, lt=1 << 62)]
Place = tuple[str, _Position]
"""The last alert that holds and was given; or "" and a position in the log."""


class Records(Protocol):
    """The part of the store that knows alerts, now and then."""

    async def alerting(self) -> list[str]: ...

    async def members(self, keys: Collection[str]) -> list[Member]: ...

    async def events_of(
        self,
        types: Sequence[str],
        since: datetime,
        *,
        key: str | None = None,
        after: int = 0,
        most: int,
    ) -> list[tuple[int, Message]]: ...


class House(Struct, frozen=True, kw_only=True):
    """What the configuration in force adds; *quiet* says what mutes an alert now."""

    ways: Ways
    sources: Collection[str]
    traits: Callable[[Member, Alert], Mapping[str, str]]
    frame: Callable[[str], Frame]
    quiet: Callable[[Traits], Obstacle | None]
    locale: str = "en"


class _Asked(Struct, frozen=True):
    """*of*: a key, or the name of a group of several."""

    span: asked.Span
    since: datetime | None
    of: str | None

    @property
    def key(self) -> str | None:
        return None if self.of is None or routing.is_several(self.of) else self.of

    def fits(self, found: RoutedData) -> bool:
        if self.of is None or found.key == self.of:
            return True
        return any(way.group == self.of for way in found.ways)


def operations(records: Records, house: House) -> list[Operation]:
    async def show(request: web.Request) -> web.Response:
        wanted = _Asked(
            span=asked.span(request, Place),
            since=asked.moment_of(request, "since"),
            of=_of(request, house),
        )
        last, position = wanted.span.after or ("", -1)
        if position >= 0:
            return asked.answer(await _raised(records, house, wanted, position))
        return asked.answer(await _holding(records, house, wanted, last))

    return [
        operation.get(
            PATH,
            show,
            "Say which ways alerts of late would take.",
            PageData[RoutedData],
            query=(
                *operation.PAGED,
                operation.SINCE,
                Parameter(name="of", help="Only of this key or group."),
            ),
        )
    ]


def _of(request: web.Request, house: House) -> str | None:
    given = request.query.get("of")
    if given is None:
        return None
    return named.in_full(given, house.sources)


async def _holding(
    records: Records, house: House, wanted: _Asked, last: str
) -> PageData[RoutedData]:
    keys = await records.alerting() if wanted.key is None else [wanted.key]
    found = {
        f"{member.key}!{alert.id}": (member, alert)
        for member in await records.members(keys)
        for alert in member.alerts.values()
    }
    behind = sorted(place for place in found if place > last)
    shown = behind[: wanted.span.limit]
    over = len(shown) == len(behind)
    items = [_held(*found[place], house) for place in shown]
    place = ("", 0) if over else (shown[-1], -1)
    ends = over and wanted.since is None
    return PageData(
        items=[*filter(wanted.fits, items)],
        next=None if ends else asked.place_text(place),
    )


def _held(member: Member, alert: Alert, house: House) -> RoutedData:
    traits = house.traits(member, alert)
    routed = _routed(member.key, alert, traits, house)
    mute = house.quiet(traits)
    said = explaining.SILENT[mute.reason].spoken(house.locale) if mute else ""
    if mute and mute.detail:
        said = f"{said}: {mute.detail}"
    return structs.replace(routed, holds=True, quiet=said)


def _routed(
    key: str, alert: Alert, traits: Mapping[str, str], house: House
) -> RoutedData:
    return RoutedData(
        key=key,
        id=alert.id,
        name=alert.name,
        severity=alert.severity,
        at=alert.since,
        holds=False,
        traits=traits,
        ways=house.ways.of(key, traits),
    )


async def _raised(
    records: Records, house: House, wanted: _Asked, position: int
) -> PageData[RoutedData]:
    if wanted.since is None:
        raise web.HTTPBadRequest(text="since: give it again with each page")
    found = await records.events_of(
        RAISED, wanted.since, key=wanted.key, after=position, most=wanted.span.limit
    )
    messages = [message for _, message in found]
    known = {each.key: each for each in await records.members(_keys(messages))}
    more = len(found) == wanted.span.limit
    return PageData(
        items=[*filter(wanted.fits, _past(messages, known, house))],
        next=asked.place_text(("", found[-1][0])) if more else None,
    )


def _keys(messages: Iterable[Message]) -> set[str]:
    return {message.key for message in messages}


def _past(
    messages: Iterable[Message], known: Mapping[str, Member], house: House
) -> Iterator[RoutedData]:
    """Say which ways alerts would take now, with the labels that they had then."""
    for message in messages:
        data = msgspec.json.decode(message.data, type=events.EventData)
        if data.alert is None or data.alert.name not in {*Name}:
            continue  # of another version of ours
        alert = _alert(data.alert, message.time)
        member = known.get(message.key)
        snapshot = member.snapshot if member else None
        traits = wording.alert_traits(
            structs.replace(house.frame(message.key), labels=data.labels),
            alert,
            data.instance.name if data.instance else "",
            snapshot.plan_id if snapshot else None,
        )
        yield _routed(message.key, alert, traits, house)


def _alert(data: events.AlertData, at: datetime) -> Alert:
    step, attempt = data.step, None
    if step is not None:
        attempt = Attempt(step.step_instance_id, step.execute_count, step.name)
    return Alert(
        name=Name(data.name),
        severity=Severity(data.severity),
        since=at,
        attempt=attempt,
        failed=data.failed,
        total=data.total,
    )
