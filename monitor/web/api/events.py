"""The log of events, a page at a time."""

from collections.abc import Collection
from datetime import datetime
from typing import Final, Protocol

import msgspec
from aiohttp import web

from monitor.core import alerts, matchers, reach, transitions
from monitor.core.message import Message
from monitor.ports import Reading
from monitor.web import api
from monitor.web.api import asked, named, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.events import LoggedData
from monitor.web.shapes.page import PageData

PATH: Final = f"{api.ROOT}/events"

TYPES: Final = tuple(
    str(kind) for kinds in (transitions.Kind, alerts.Kind, reach.Kind) for kind in kinds
)
SCANNED: Final = 10_000
"""Events that one request with matchers looks at; a page may then be short."""

_AT_ONCE: Final = 500


class Records(Protocol):
    async def logged(
        self, wanted: Reading, after: int | None, most: int
    ) -> list[tuple[int, Message]]: ...


def operations(records: Records, sources: Collection[str]) -> list[Operation]:
    async def show(request: web.Request) -> web.Response:
        wanted, matching = reading(request, sources), asked.matching(request)
        span = asked.span(request, asked.Position)
        after, scanned, items = span.after, 0, list[LoggedData]()
        while True:
            most = span.limit + 1 if not matching else _AT_ONCE
            found = await records.logged(wanted, after, most)
            for position, message in found:
                if len(items) == span.limit:
                    return _page(items, after)
                after = position
                if matchers.all_match(matching, message.traits):
                    items.append(data(message))
            scanned += len(found)
            if len(found) < most:
                return _page(items, None)
            if scanned >= SCANNED:
                return _page(items, after)

    return [
        operation.get(
            PATH,
            show,
            "List events, the newest first.",
            PageData[LoggedData],
            query=(
                *operation.PAGED,
                Parameter(name="key", help="Of this instance, scope or source."),
                Parameter(name="type", help="Of this type; any of several.", many=True),
                operation.SINCE,
                Parameter(name="until", type=datetime, help="What was before then."),
                Parameter(name="oldest_first", type=bool, help="The other way round."),
                operation.MATCH,
            ),
        )
    ]


def _page(items: list[LoggedData], after: int | None) -> web.Response:
    place = None if after is None else asked.place_text(after)
    return asked.answer(PageData(items=items, next=place))


def reading(request: web.Request, sources: Collection[str]) -> Reading:
    query = request.query
    key = query.get("key")
    return Reading(
        key=None if key is None else named.in_full(key, sources),
        types=types_of(request),
        since=asked.moment_of(request, "since"),
        until=asked.moment_of(request, "until"),
        newest_first=not asked.flag(request, "oldest_first"),
    )


def types_of(request: web.Request) -> tuple[str, ...]:
    """Read every ``?type=``, which may be short: ``hosts.failed``, ``alert``."""
    return tuple(
        type_ for given in request.query.getall("type", []) for type_ in _types(given)
    )


def _types(given: str) -> list[str]:
    full = given if given.startswith("bkjob.") else f"bkjob.{given}"
    found = [type_ for type_ in TYPES if type_ == full or type_.startswith(f"{full}.")]
    if not found:
        known = ", ".join(type_.removeprefix("bkjob.") for type_ in TYPES)
        raise web.HTTPBadRequest(text=f"type: {given[:80]!r} is none of {known}")
    return found


def data(message: Message) -> LoggedData:
    return LoggedData(
        id=message.id,
        key=message.key,
        type=message.type,
        time=message.time,
        sequence=message.sequence,
        traits=message.traits,
        data=msgspec.Raw(message.data),
    )
