"""Maintenance windows: listed, made, ended."""

from datetime import datetime
from typing import Final, Protocol

from aiohttp import web

from monitor.core import quiet
from monitor.core.quiet import Daily, Entry, Maintenance, Origin, Silence
from monitor.ports import Now
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.page import PageData
from monitor.web.shapes.quiet import DailyData, MaintenanceAsked, MaintenanceData

PATH: Final = f"{api.ROOT}/maintenance"


class Windows(Protocol):
    def maintenance(self) -> list[Maintenance]: ...

    def full(self, entry: Entry) -> bool: ...

    async def say(self, entry: Entry) -> None: ...

    async def expire(self, entry: Silence | Maintenance) -> Silence | Maintenance: ...


def operations(known: Windows, now: Now) -> list[Operation]:
    def named(name: str) -> Maintenance | None:
        return next((one for one in known.maintenance() if one.name == name), None)

    async def listed(request: web.Request) -> web.Response:
        places = [((one.name,), one) for one in known.maintenance()]
        page = asked.page(request, places, lambda one: data(one, now()))
        return asked.answer(page)

    async def make(request: web.Request) -> web.Response:
        made = _maintenance(await asked.body(request, MaintenanceAsked), now())
        before = named(made.name)
        asked.check_ours(ours=before is None or before.origin is Origin.API)
        if before is not None and not _over(before, now()):
            raise web.HTTPConflict(text=f"there is a window {made.name}: end it first")
        asked.check_room(full=known.full(made))
        await known.say(made)
        return asked.answer(data(made, now()), 201)

    async def end(request: web.Request) -> web.Response:
        one = named(name := request.match_info["name"])
        if one is None:
            raise web.HTTPNotFound(text=f"there is no maintenance {name}")
        asked.check_ours(ours=one.origin is Origin.API)
        ended = await known.expire(one)
        assert isinstance(ended, Maintenance)  # noqa: S101 - it stays what it is
        return asked.answer(data(ended, now()))

    return [
        operation.get(
            PATH,
            listed,
            "List maintenance windows.",
            PageData[MaintenanceData],
            query=operation.PAGED,
        ),
        operation.post(
            PATH,
            make,
            "Tell nobody in windows that come again and again.",
            MaintenanceData,
            body=MaintenanceAsked,
            status=201,
            refusals=(409,),
        ),
        operation.delete(
            f"{PATH}/{{name}}",
            end,
            "End a maintenance window.",
            MaintenanceData,
            refusals=(404, 409),
        ),
    ]


def _maintenance(wanted: MaintenanceAsked, now: datetime) -> Maintenance:
    starts_at = asked.moment("starts_at", wanted.starts_at)
    ends_at = asked.moment("ends_at", wanted.ends_at)
    if wanted.daily is None and ends_at is None:
        raise web.HTTPBadRequest(text="give daily, or ends_at, so that it ends")
    with asked.refusing("ends_at"):
        quiet.check_order(max(starts_at or now, now), ends_at)
    return Maintenance(
        name=wanted.name,
        matchers=asked.matchers_of(wanted.matchers),
        daily=None if wanted.daily is None else _daily(wanted.daily),
        starts_at=starts_at,
        ends_at=ends_at,
        author=wanted.author,
        comment=wanted.comment,
    )


def _daily(wanted: DailyData) -> Daily:
    with asked.refusing("daily"):
        return Daily(
            start=quiet.read_clock(wanted.start),
            end=quiet.read_clock(wanted.end),
            days=quiet.read_days(wanted.days),
            timezone=quiet.read_zone(wanted.timezone),
        )


def _over(one: Maintenance, now: datetime) -> bool:
    return one.ends_at is not None and one.ends_at <= now


def data(one: Maintenance, now: datetime) -> MaintenanceData:
    span = quiet.maintained(one, now)
    begins = None if span else quiet.begins(one, now)
    state = "active" if span else "pending" if begins else "expired"
    return MaintenanceData(
        name=one.name,
        state=state,
        until=span.end if span else None,
        begins=begins,
        matchers=[str(matcher) for matcher in one.matchers],
        daily=None if one.daily is None else _daily_data(one.daily),
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        author=one.author,
        comment=one.comment,
        origin=one.origin,
    )


def _daily_data(daily: Daily) -> DailyData:
    return DailyData(
        start=f"{daily.start:%H:%M}",
        end=f"{daily.end:%H:%M}",
        days=[quiet.DAYS[number] for number in sorted(daily.days)],
        timezone=daily.timezone,
    )
