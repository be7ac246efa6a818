"""What is wrong, the worst first; then everything, as a table."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import anyio
from aiohttp import web
from msgspec import Struct, structs

from monitor.core import clusters, notifications
from monitor.core.codes import Meaning
from monitor.core.gist import RANKS
from monitor.core.notifications import ClusterData
from monitor.core.state import State
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from monitor.ports import Sort, Wanted
from monitor.web.api import asked, instances, status
from monitor.web.api.instances import Desk
from monitor.web.pages.rendering import Page
from monitor.web.shapes.instances import ListedData
from monitor.web.shapes.status import StatusData

INCIDENTS: Final = 20
ROWS: Final = 50
CLUSTERS: Final = 3
"""Of an incident, that the overview shows."""

HOSTS: Final = 50_000
"""Hosts that are looked through for clusters to show one page."""


class Records(instances.Records, status.Records, Protocol):
    """What is read of the store."""


class House(Struct, frozen=True, kw_only=True):
    """*acked* names who cares for an instance, or is None."""

    records: Records
    instances: instances.House
    status: status.House
    acked: Callable[[str], str | None]


class Incident(Struct, frozen=True, kw_only=True):
    """*more* clusters than are shown."""

    listed: ListedData
    clusters: Sequence[ClusterData]
    more: int
    acked: str | None


class Number(Struct, frozen=True, kw_only=True):
    """One number of the strip: what it counts, and the list of what it counted."""

    label: str
    count: int
    href: str
    tone: str
    chosen: bool = False


def shown(house: House) -> Callable[..., Any]:
    async def show(request: web.Request, page: Page) -> web.Response:
        if not all(request.query.values()):
            return _without_blanks(request)
        locale = page.speech.locale
        desk = Desk(house.records, in_locale(house.instances, locale))
        state = await status.state(house.records, house.status)
        wanted, matching = instances.wanted_of(request), asked.matching(request)
        after = _after(request, wanted)
        filtered = bool(_FILTERS & request.query.keys())
        return page.response(
            "overview.html",
            numbers=_numbers(state, request),
            state=state,
            filtered=filtered,
            incidents=[] if filtered else await _incidents(house, desk, locale),
            listed=await desk.page(wanted, matching, after, ROWS),
            meanings=[each.value for each in Meaning],
            sorts=SORTS,
            more=_first_page(request),
        )

    return show


_FILTERS: Final = {
    "meaning",
    "severity",
    "below",
    "phase",
    "q",
    "match",
    "sort",
    "after",
}

SORTS: Final = {
    Sort.WORST: "worst first",
    Sort.CHANGED: "latest change",
    Sort.FAILED: "most failed hosts",
    Sort.NAME: "name",
    Sort.KEY: "key",
}


def in_locale(house: instances.House, locale: str) -> instances.House:
    """Let *house* speak the language of a page."""

    def frame(key: str) -> Frame:
        return structs.replace(house.frame(key), locale=locale)

    return structs.replace(house, frame=frame)


def _after(request: web.Request, wanted: Wanted) -> Any:
    given = request.query.get("after")
    if given is None:
        return None
    after = tuple(asked.read_place(given, list[Any]))
    instances.check_place(wanted, after)
    return after


async def _incidents(house: House, desk: Desk, locale: str) -> list[Incident]:
    worst = Wanted(least_rank=min(RANKS.values()))
    found = await house.records.listed(worst, None, INCIDENTS)
    listed = [desk.listed(each) for _, each in found]
    states = await _states(house.records, listed)
    return [
        _incident(house, each, _clusters(states[each.key], locale))
        if each.key in states
        else _incident(house, each, ())
        for each in listed
    ]


async def _states(records: Records, listed: Sequence[ListedData]) -> dict[str, State]:
    """Read all together, as many as may be looked through."""
    states: dict[str, State] = {}

    async def load(key: str) -> None:
        states[key] = await records.load(key)

    room = HOSTS
    async with anyio.create_task_group() as tasks:
        for each in listed:
            if each.failed and each.hosts <= room:
                room -= each.hosts
                tasks.start_soon(load, each.key)
    return states


def _clusters(state: State, locale: str) -> list[ClusterData]:
    steps = state.snapshot.steps if state.snapshot else ()
    found = [
        notifications.cluster_data(cluster, step.failures, locale)
        for step in steps
        for cluster in clusters.gathered(
            step.failures, state.tails.get(step.step_instance_id, {})
        )
    ]
    return sorted(found, key=lambda cluster: -cluster.count)


def _incident(
    house: House, listed: ListedData, gathered: Sequence[ClusterData]
) -> Incident:
    return Incident(
        listed=listed,
        clusters=gathered[:CLUSTERS],
        more=max(0, len(gathered) - CLUSTERS),
        acked=house.acked(listed.key),
    )


def _numbers(state: StatusData, request: web.Request) -> list[Number]:
    chosen = {*request.query.getall("meaning", [])}
    severity = request.query.get("severity")
    by_severity = [
        Number(
            label=each,
            count=state.problems[each],
            href=f"/?severity={each}",
            tone=each,
            chosen=severity == each,
        )
        for each in (Severity.CRITICAL, Severity.WARNING)
    ]
    by_meaning = [
        Number(
            label=each,
            count=state.instances[each],
            href=f"/?meaning={each}".replace(" ", "+"),
            tone=each,
            chosen=each in chosen,
        )
        for each in _ORDER
        if each is not Meaning.UNKNOWN or state.instances[each]
    ]
    return [*by_severity, *by_meaning, *_others(state)]


_ORDER: Final = (
    Meaning.FAILED,
    Meaning.NEEDS_PERSON,
    Meaning.RUNNING,
    Meaning.WAITING,
    Meaning.SUCCEEDED,
    Meaning.UNKNOWN,
)


def _others(state: StatusData) -> list[Number]:
    found = (
        ("not seen yet", state.unseen, "/sources", "unknown"),
        ("sources lost", state.sources_lost, "/sources", "critical"),
        ("dead letters", state.dead, "/sinks", "warning"),
        ("list faults", state.faults, "/sources", "warning"),
    )
    return [
        Number(label=label, count=count, href=href, tone=tone)
        for label, count, href, tone in found
        if count
    ]


def _without_blanks(request: web.Request) -> web.Response:
    """Send a browser on to what it means: a form names what was not filled in too."""
    given = [(name, value) for name, value in request.query.items() if value]
    there = request.rel_url.with_query(given)
    return web.Response(status=303, headers={"Location": str(there)})


def _first_page(request: web.Request) -> str:
    """Give the address of this list from its beginning, with all of its filters."""
    return str(request.rel_url.without_query_params("after", "lang"))
