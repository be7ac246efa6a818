"""Who is watched, and the lists that say so; added, removed and paused at run time."""

from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import timedelta
from typing import Final, Protocol

from aiohttp import web
from msgspec import Struct, structs

from monitor import durations
from monitor.core import matchers, quiet
from monitor.core import watch as watching
from monitor.core.model import InstanceKey
from monitor.core.watch import Added, Options, Origin, Pause, Place, Watch
from monitor.ports import Looked, Now
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.page import PageData
from monitor.web.shapes.watches import (
    LookedData,
    PauseAsked,
    PauseData,
    WatchAsked,
    WatchData,
    WatchListData,
)

PATH: Final = f"{api.ROOT}/watches"
ONE: Final = f"{PATH}/{{source}}/{{scope_type}}/{{scope_id}}/{{job_instance_id}}"
PAUSE: Final = f"{ONE}/pause"
LISTS: Final = f"{api.ROOT}/watch-lists"

PLACE: Final = Place("api")

_AT_ONCE: Final = 500
"""Watches of which the store is asked together whether they ended for good."""

Placed = tuple[tuple[str], Watch]


class Beside(Protocol):
    """Labels and options, read by the rules of watch lists."""

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def options(self) -> Options: ...


class Wishes(Protocol):
    def added(self, key: InstanceKey) -> Watch | None: ...

    def pause_of(self, key: InstanceKey) -> Pause | None: ...

    def room_to_add(self, key: InstanceKey) -> bool: ...

    def room_to_pause(self, key: InstanceKey) -> bool: ...

    async def add(self, watch: Watch) -> None: ...

    async def remove(self, key: InstanceKey) -> None: ...

    async def pause(self, pause: Pause) -> None: ...

    async def resume(self, key: InstanceKey) -> None: ...


class House(Struct, frozen=True, kw_only=True):
    """*written*: what a file says of an instance; *beside* raises a ValueError.

    *watches* are looked at here. *elsewhere*: those that other nodes look at, or did
    until they ended for good; *retired* tells of whom that is so.
    """

    watches: Callable[[], Iterable[Watch]]
    elsewhere: Callable[[], Iterable[Watch]]
    retired: Callable[[Collection[InstanceKey]], Awaitable[Collection[InstanceKey]]]
    lists: Callable[[], Sequence[WatchListData]]
    looked: Callable[[InstanceKey], Looked | None]
    owner: Callable[[InstanceKey], str | None]
    written: Callable[[InstanceKey], Watch | None]
    beside: Callable[[WatchAsked], Beside]
    sources: tuple[str, ...]


def operations(house: House, wishes: Wishes, now: Now) -> list[Operation]:
    desk = Desk(house, wishes, now)
    return [*_of_all(desk), *_of_one(desk), *_of_pauses(desk), _of_lists(desk)]


def _of_all(desk: "Desk") -> Iterator[Operation]:
    yield operation.get(
        PATH,
        desk.listed,
        "List who is watched.",
        PageData[WatchData],
        query=(
            *operation.PAGED,
            Parameter(name="origin", type=Origin, help="Only those from there."),
            Parameter(name="paused", type=bool, help="Only those that are."),
            operation.MATCH,
        ),
    )
    yield operation.post(
        PATH,
        desk.add,
        "Watch an instance that no file names.",
        WatchData,
        body=WatchAsked,
        status=201,
        refusals=(409,),
    )


def _of_one(desk: "Desk") -> Iterator[Operation]:
    yield operation.get(
        ONE,
        desk.show,
        "Say how an instance is watched, and when it is looked at.",
        LookedData,
        refusals=(404,),
    )
    yield operation.delete(
        ONE,
        desk.remove,
        "End a watch that was added here.",
        WatchData,
        refusals=(404, 409),
    )


def _of_pauses(desk: "Desk") -> Iterator[Operation]:
    yield operation.post(
        PAUSE,
        desk.pause,
        "Do not look at an instance for a time; its watch and its alerts stay.",
        LookedData,
        body=PauseAsked,
        status=201,
        refusals=(404, 409),
    )
    yield operation.delete(
        PAUSE, desk.resume, "Look at it again.", LookedData, refusals=(404,)
    )


def _of_lists(desk: "Desk") -> Operation:
    return operation.get(
        LISTS,
        desk.lists,
        "List the files that say who is watched, and their faults.",
        PageData[WatchListData],
    )


class Desk:
    """What may be done to watches, and in which words it is refused."""

    def __init__(self, house: House, wishes: Wishes, now: Now) -> None:
        self._house = house
        self._wishes = wishes
        self._now = now

    async def listed(self, request: web.Request) -> web.Response:
        return asked.answer(await self._page(request))

    async def lists(self, _: web.Request) -> web.Response:
        return asked.answer(PageData(items=[*self._house.lists()]))

    async def show(self, request: web.Request) -> web.Response:
        return asked.answer(await self._looked_data(asked.key_of(request)))

    async def add(self, request: web.Request) -> web.Response:
        watch = self._drafted(await asked.body(request, WatchAsked))
        await self._wishes.add(watch)
        return asked.answer(self._data(watch), 201)

    async def remove(self, request: web.Request) -> web.Response:
        watch = await self._removable(asked.key_of(request))
        await self._wishes.remove(watch.key)
        return asked.answer(self._data(watch))

    async def pause(self, request: web.Request) -> web.Response:
        key = (await self._looked(asked.key_of(request))).watch.key
        wanted = await asked.body(request, PauseAsked)
        await self._wishes.pause(self._drafted_pause(key, wanted))
        return asked.answer(await self._looked_data(key), 201)

    async def resume(self, request: web.Request) -> web.Response:
        key = asked.key_of(request)
        if (await self._looked(key)).pause is None:
            raise web.HTTPNotFound(text=f"{key} is not paused")
        await self._wishes.resume(key)
        return asked.answer(await self._looked_data(key))

    async def _page(self, request: web.Request) -> PageData[WatchData]:
        span, house = asked.span(request), self._house
        elsewhere = [*self._chosen(request, house.elsewhere())]
        if not elsewhere:
            here = self._chosen(request, house.watches())
            return asked.page(request, here, self._data)
        places = [*self._chosen(request, house.watches()), *elsewhere]
        behind = asked.behind(span, places, len(places))
        found: list[Placed] = []
        for start in range(0, len(behind), _AT_ONCE):
            if len(found) <= span.limit:
                found += await self._still(behind[start : start + _AT_ONCE])
        return asked.shown(span, found, self._data)

    async def _still(self, places: Sequence[Placed]) -> list[Placed]:
        """Leave out who ended for good."""
        retired = await self._house.retired([watch.key for _, watch in places])
        return [place for place in places if place[1].key not in retired]

    def _chosen(
        self, request: web.Request, watches: Iterable[Watch]
    ) -> Iterable[Placed]:
        wanted = asked.matching(request)
        origin = asked.one_of(request, "origin", Origin)
        paused = asked.flag(request, "paused")
        for each in watches:
            if origin is not None and each.origin is not origin:
                continue
            if paused and self._wishes.pause_of(each.key) is None:
                continue
            if matchers.all_match(wanted, {**each.labels, "source": each.key.source}):
                yield (str(each.key),), each

    def _data(self, watch: Watch) -> WatchData:
        return data(watch, self._wishes.pause_of(watch.key))

    async def _looked(self, key: InstanceKey) -> Looked:
        looked = self._house.looked(key)
        if looked is None or await self._is_retired(looked):
            raise web.HTTPNotFound(text=f"nobody watches {key}")
        return looked

    async def _is_retired(self, looked: Looked) -> bool:
        """Ask the store of whom another node looks at."""
        if looked.failures is not None:
            return False
        return bool(await self._house.retired([looked.watch.key]))

    async def _looked_data(self, key: InstanceKey) -> LookedData:
        looked = await self._looked(key)
        return LookedData(
            **structs.asdict(data(looked.watch, looked.pause)),
            seen_at=looked.seen_at,
            next_at=looked.next_at,
            failures=looked.failures,
            owner=self._house.owner(key),
        )

    def _drafted(self, wanted: WatchAsked) -> Watch:
        with asked.refusing("key"):
            key = watching.parse_key(wanted.key, sources=self._house.sources)
        written = self._house.written(key)
        if written is not None:
            raise web.HTTPConflict(
                text=f"{written.place} has {key} already: change it there"
            )
        asked.check_room(full=not self._wishes.room_to_add(key))
        now = self._now()
        until = asked.moment("until", wanted.until)
        if until is not None and until <= now:
            raise web.HTTPBadRequest(text="until: it is over by now")
        with asked.refusing("watch"):
            beside = self._house.beside(wanted)
        return Watch(
            key=key,
            labels=beside.labels,
            options=structs.replace(beside.options, until=until),
            place=PLACE,
            added=Added(at=now, author=wanted.author, comment=wanted.comment),
        )

    async def _removable(self, key: InstanceKey) -> Watch:
        added = self._wishes.added(key)
        if added is not None:
            return added
        written = self._house.written(key)
        if written is not None:
            raise web.HTTPConflict(
                text=f"{key} stands in {written.place}: take it out there, or pause it"
            )
        place = (await self._looked(key)).watch.place
        raise web.HTTPConflict(
            text=f"a rule of {place} found {key}: change the rule, or pause it"
        )

    def _drafted_pause(self, key: InstanceKey, wanted: PauseAsked) -> Pause:
        asked.check_room(full=not self._wishes.room_to_pause(key))
        now, ends_at = self._now(), asked.moment("ends_at", wanted.ends_at)
        if ends_at is not None:
            with asked.refusing("ends_at"):
                quiet.check_order(now, ends_at)
        return Pause(
            key=key,
            at=now,
            ends_at=ends_at,
            author=wanted.author,
            comment=wanted.comment,
        )


def data(watch: Watch, pause: Pause | None = None) -> WatchData:
    options, added = watch.options, watch.added
    return WatchData(
        key=str(watch.key),
        labels=watch.labels,
        origin=watch.origin,
        place=str(watch.place),
        severity=options.severity,
        settle=_text(options.settle),
        overdue_after=_text(options.overdue_after),
        stalled_after=_text(options.stalled_after),
        until=options.until,
        author=added.author if added else "",
        comment=added.comment if added else "",
        paused=_pause(pause),
    )


def _pause(pause: Pause | None) -> PauseData | None:
    if pause is None:
        return None
    return PauseData(
        since=pause.at,
        ends_at=pause.ends_at,
        author=pause.author,
        comment=pause.comment,
    )


def options_of(wanted: WatchAsked) -> dict[str, str]:
    """Give the options as a watch list would write them; the end is no text here."""
    return {
        "severity": wanted.severity,
        "settle": wanted.settle,
        "overdue_after": wanted.overdue_after,
        "stalled_after": wanted.stalled_after,
    }


def _text(duration: timedelta | None) -> str | None:
    return None if duration is None else durations.text(duration)
