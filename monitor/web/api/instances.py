"""Instances: listed, and one of them with its steps and hosts."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from heapq import nsmallest
from itertools import chain, islice
from typing import Annotated, Any, Final, Literal, Protocol

import anyio.lowlevel
from aiohttp import web
from msgspec import Meta, Struct, structs

from monitor.core import (
    clusters,
    codes,
    ending,
    matchers,
    member,
    model,
    notifications,
    wording,
)
from monitor.core.codes import Meaning
from monitor.core.gist import RANKS
from monitor.core.matchers import Matcher
from monitor.core.member import Member
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.core.state import Phase, State
from monitor.core.telling import Case
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from monitor.ports import Listed, Looked, Sort, Wanted
from monitor.web import api
from monitor.web.api import alerts, asked, operation, watches
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.instances import (
    DistinctData,
    HostCountData,
    HostStateData,
    InstanceStateData,
    ListedData,
    StepStateData,
)
from monitor.web.shapes.page import PageData

PATH: Final = f"{api.ROOT}/instances"
ONE: Final = f"{PATH}/{{source}}/{{scope_type}}/{{scope_id}}/{{job_instance_id}}"
HOSTS: Final = f"{ONE}/steps/{{step_instance_id}}/hosts"

SCANNED: Final = 20_000
"""Instances that one request with matchers looks at; a page may then be short."""

WORDS: Final = 200
_AT_ONCE: Final = 500
_NUMBERS: Final = re.compile(r"[0-9]{1,18}")

_TURN: Final = 2_000
"""Hosts that are sorted in one turn of the loop, some 10 ms."""

Place = tuple[Any, ...]
Rank = tuple[int, list[int], str]
Ranked = tuple[Rank, tuple[int, HostId]]


class Standing(StrEnum):
    """How a host stands, the worst first."""

    FAILED = "failed"
    UNFINISHED = "unfinished"
    SUCCEEDED = "succeeded"


class Records(Protocol):
    async def listed(
        self, wanted: Wanted, after: Place | None, most: int
    ) -> list[tuple[Place, Listed]]: ...

    async def load(self, key: str) -> State: ...


class House(Struct, frozen=True, kw_only=True):
    """What the daemon adds to what is on record."""

    frame: Callable[[str], Frame]
    looked: Callable[[InstanceKey], Looked | None]
    owner: Callable[[InstanceKey], str | None]
    paused: Callable[[InstanceKey], bool]


QUERY: Final = (
    *operation.PAGED,
    Parameter(
        name="meaning",
        type=Meaning,
        help="Whose status means this; any of several.",
        many=True,
    ),
    Parameter(name="severity", type=Severity, help="With an alert at least so bad."),
    Parameter(name="below", help="Of this source (prod) or scope (prod/biz/2)."),
    Parameter(
        name="phase",
        type=Literal["watched", "retired", "unwatched", "any"],
        help="watched unless given.",
    ),
    Parameter(
        name="q",
        type=Annotated[str, Meta(max_length=WORDS)],
        help="Words that name or key contain.",
    ),
    Parameter(name="sort", type=Sort, help="In which order; worst unless given."),
    operation.MATCH,
)


def operations(records: Records, house: House) -> list[Operation]:
    desk = Desk(records, house)

    async def listed(request: web.Request) -> web.Response:
        wanted, span = wanted_of(request), asked.span(request, list[Any])
        after = None if span.after is None else tuple(span.after)
        check_place(wanted, after)
        matching = asked.matching(request)
        return asked.answer(await desk.page(wanted, matching, after, span.limit))

    async def show(request: web.Request) -> web.Response:
        key = asked.key_of(request)
        return asked.answer(desk.shown(key, await desk.known(key)))

    async def hosts(request: web.Request) -> web.Response:
        state = await desk.known(asked.key_of(request))
        step = step_of(state, request.match_info["step_instance_id"])
        standing = asked.one_of(request, "standing", Standing)
        span = asked.span(request, tuple[int, str])
        locale = house.frame("").locale
        return asked.answer(await page_of_hosts(step, standing, span, locale))

    return [
        operation.get(
            PATH, listed, "List instances.", PageData[ListedData], query=QUERY
        ),
        operation.get(
            ONE,
            show,
            "Show all that is known of an instance.",
            InstanceStateData,
            refusals=(404,),
        ),
        operation.get(
            HOSTS,
            hosts,
            "List the hosts of a step, those that failed first.",
            PageData[HostStateData],
            query=(
                *operation.PAGED,
                Parameter(name="standing", type=Standing, help="Only those."),
            ),
            refusals=(404,),
        ),
    ]


def wanted_of(request: web.Request) -> Wanted:
    query = request.query
    phase = query.get("phase", Phase.WATCHED)
    severity = asked.one_of(request, "severity", Severity)
    if len(query.get("q", "")) > WORDS:
        raise web.HTTPBadRequest(text=f"q: write at most {WORDS} characters")
    return Wanted(
        phase=None if phase == "any" else asked.member("phase", phase, Phase),
        below=query.get("below", ""),
        meanings=frozenset(
            asked.member("meaning", each, Meaning)
            for each in query.getall("meaning", [])
        ),
        least_rank=RANKS[severity] if severity else 0,
        text=query.get("q", ""),
        sort=asked.one_of(request, "sort", Sort) or Sort.WORST,
    )


_LENGTHS: Final = {
    Sort.WORST: (int, float, str),
    Sort.CHANGED: (float, str),
    Sort.FAILED: (int, str),
    Sort.NAME: (str, str),
    Sort.KEY: (str,),
}


def check_place(wanted: Wanted, after: Place | None) -> None:
    """Refuse a place that is of another order."""
    if after is None:
        return
    types = _LENGTHS[wanted.sort]
    if len(after) != len(types) or not all(
        _is_of(value, type_) for value, type_ in zip(after, types, strict=True)
    ):
        raise web.HTTPBadRequest(text=asked.NO_PLACE)


def _is_of(value: Any, type_: type) -> bool:
    match value:
        case bool():
            return False
        case int():
            return type_ in (int, float) and abs(value) < asked.NUMBER_MAX
        case _:
            return isinstance(value, type_)


class Desk:
    """Answers for API and pages alike."""

    def __init__(self, records: Records, house: House) -> None:
        self._records = records
        self._house = house

    async def page(
        self,
        wanted: Wanted,
        matching: Sequence[Matcher],
        after: Place | None,
        limit: int,
    ) -> PageData[ListedData]:
        items: list[ListedData] = []
        scanned = 0
        while True:
            most = limit + 1 if not matching else _AT_ONCE
            found = await self._records.listed(wanted, after, most)
            for place, each in found:
                if len(items) == limit:
                    return PageData(items=items, next=asked.place_text(after))
                after = place
                if self._fits(each.member, matching):
                    items.append(self.listed(each))
            scanned += len(found)
            if len(found) < most:
                return PageData(items=items)
            if scanned >= SCANNED:
                return PageData(items=items, next=asked.place_text(after))

    def _fits(self, known: Member, matching: Sequence[Matcher]) -> bool:
        if not matching:
            return True
        frame = self._house.frame(known.key)
        return matchers.all_match(matching, _traits(frame, known))

    def listed(self, each: Listed) -> ListedData:
        known, frame = each.member, self._house.frame(each.member.key)
        return ListedData(
            **_fields(frame, known),
            failed=each.failed,
            hosts=each.hosts,
            changed_at=each.changed_at,
            paused=self._house.paused(frame.instance) if frame.instance else False,
        )

    async def known(self, key: InstanceKey) -> State:
        """Raises 404 where there is neither a state nor a watch."""
        state = await self._records.load(str(key))
        if not state.version and self._house.looked(key) is None:
            raise web.HTTPNotFound(text=f"nothing is known of {key}")
        return state

    def shown(self, key: InstanceKey, state: State) -> InstanceStateData:
        looked = self._looked(key, state)
        known, frame = state.snapshot, self._house.frame(str(key))
        steps = known.steps if known else ()
        return InstanceStateData(
            **_fields(frame, member.of(state)),
            failed=sum(len(step.failures) for step in steps),
            hosts=sum(len(step.hosts) for step in steps),
            changed_at=state.changed_at,
            operator=known.operator if known else "",
            plan_id=known.plan_id if known else None,
            created_at=known.created_at if known else None,
            started_at=known.started_at if known else None,
            ended_at=known.ended_at if known else None,
            gone=state.gone,
            sequence=state.sequence,
            seen_at=looked.seen_at if looked else None,
            next_at=looked.next_at if looked else None,
            failures=looked.failures if looked else 0,
            distinct=_distinct(known),
            steps=[_step(step, state, frame) for step in steps],
            problems=list(_problems(state, frame)),
            watch=watches.data(looked.watch, looked.pause) if looked else None,
            owner=self._house.owner(key) if looked else None,
            paused=looked is not None and looked.pause is not None,
        )

    def _looked(self, key: InstanceKey, state: State) -> Looked | None:
        """Say who watches *key*; whoever is another node's may have ended for good."""
        looked = self._house.looked(key)
        if looked is not None and looked.failures is None:
            return None if state.phase is Phase.RETIRED else looked
        return looked


def step_of(state: State, number: str) -> Step:
    """Raises 404 where the instance has no such step."""
    for step in state.snapshot.steps if state.snapshot else ():
        if str(step.step_instance_id) == number:
            return step
    raise web.HTTPNotFound(text=f"nothing is known of step {number} of {state.key}")


def _traits(frame: Frame, known: Member) -> Mapping[str, str]:
    key, snapshot = model.read_key(known.key), known.snapshot
    worst = max(known.alerts.values(), key=lambda a: RANKS[a.severity], default=None)
    own = {
        "source": frame.source,
        "scope": f"{key.scope_type}/{key.scope_id}" if key else "",
        "instance": known.key,
        "name": snapshot.name if snapshot else "",
        "plan": str(snapshot.plan_id) if snapshot and snapshot.plan_id else "",
        "severity": worst.severity if worst else "",
    }
    return {**own, **frame.labels, "source": frame.source}


def _fields(frame: Frame, known: Member) -> dict[str, Any]:
    key, snapshot = frame.instance, known.snapshot
    assert key is not None  # noqa: S101 - the store lists instances only
    code = codes.run(snapshot.status) if snapshot else None
    held = [
        Case(id=f"{known.key}!{id_}", key=known.key, alert=alert)
        for id_, alert in known.alerts.items()
    ]
    worst = [case.alert for case in sorted(held, key=notifications.rank)]
    return {
        "key": known.key,
        "source": key.source,
        "bk_scope_type": key.scope_type,
        "bk_scope_id": key.scope_id,
        "job_instance_id": key.job_instance_id,
        "name": snapshot.name if snapshot else "",
        "phase": known.phase,
        "status": snapshot.status if snapshot else None,
        "status_name": code.name(frame.locale) if code else "",
        "meaning": code.meaning if code else Meaning.UNKNOWN,
        "severity": worst[0].severity if worst else "",
        "alerts": list(dict.fromkeys(alert.name for alert in worst)),
        "since": min((alert.since for alert in worst), default=None),
        "finished_at": known.finished_at,
        "labels": frame.labels,
        "link": wording.link(frame, snapshot, None),
    }


def _distinct(known: Snapshot | None) -> DistinctData:
    counts = ending.counted(known)
    return DistinctData(
        hosts=counts.hosts,
        failed=len(ending.failed_hosts(known)) if known else 0,
        unfinished=counts.unfinished,
    )


def _problems(state: State, frame: Frame) -> Iterator[Any]:
    known = member.of(state)
    cases = [
        Case(id=f"{state.key}!{id_}", key=state.key, alert=alert)
        for id_, alert in state.alerts.items()
    ]
    for case in sorted(cases, key=notifications.rank):
        yield alerts.data(known, case.alert, frame)


def _step(step: Step, state: State, frame: Frame) -> StepStateData:
    code = codes.run(step.status)
    tails = state.tails.get(step.step_instance_id, {})
    attempt = Attempt(step.step_instance_id, step.execute_count, step.name)
    return StepStateData(
        step_instance_id=step.step_instance_id,
        execute_count=step.execute_count,
        name=step.name,
        type=step.type,
        status=step.status,
        status_name=code.name(frame.locale),
        meaning=code.meaning,
        started_at=step.started_at,
        ended_at=step.ended_at,
        hosts=len(step.hosts),
        failed=len(step.failures),
        counts=[
            _count(status, hosts, frame.locale)
            for status, hosts in step.counts().items()
        ],
        clusters=[
            notifications.cluster_data(each, step.failures, frame.locale)
            for each in clusters.gathered(step.failures, tails)
        ],
        link=wording.link(frame, state.snapshot, attempt),
    )


def _count(status: int, hosts: int, locale: str) -> HostCountData:
    code = codes.host(status)
    return HostCountData(
        status=status,
        status_name=code.name(locale),
        meaning=code.meaning,
        hosts=hosts,
    )


async def page_of_hosts(
    step: Step, standing: Standing | None, span: asked.Span, locale: str
) -> PageData[HostStateData]:
    """Give a page of hosts; between every few thousand of them others have a turn."""
    after = None if span.after is None else _by_number(span.after)
    first: list[Ranked] = []
    hosts = iter(step.hosts.items())
    while some := [*islice(hosts, _TURN)]:
        found = _ranked(step, standing, some, after)
        first = nsmallest(span.limit + 1, chain(first, found))
        await anyio.lowlevel.checkpoint()
    shown = [place for _, place in first[: span.limit]]
    return PageData(
        items=[_host(step, host, locale) for _, host in shown],
        next=asked.place_text(shown[-1]) if len(first) > len(shown) else None,
    )


def _ranked(
    step: Step,
    standing: Standing | None,
    hosts: Iterable[tuple[HostId, int]],
    after: Rank | None,
) -> Iterator[Ranked]:
    order = list(Standing)
    for host, status in hosts:
        found = _standing(step, host, status)
        if standing is None or found is standing:
            place = (order.index(found), host)
            rank = _by_number(place)
            if after is None or rank > after:
                yield rank, place


def _by_number(place: tuple[int, str]) -> Rank:
    """Put 10.0.0.9 before 10.0.0.10."""
    rank, host = place
    return rank, [int(number) for number in _NUMBERS.findall(host)], host


def _standing(step: Step, host: HostId, status: int) -> Standing:
    if host in step.failures or codes.host_failed(status):
        return Standing.FAILED
    if codes.host(status).finished:
        return Standing.SUCCEEDED
    return Standing.UNFINISHED


def _host(step: Step, host: HostId, locale: str) -> HostStateData:
    [said] = wording.host_list({host: step.hosts[host]}, step.failures, locale)
    failure = step.failures.get(host)
    return HostStateData(
        **structs.asdict(said),
        stale=host in step.stale,
        failed_in=failure.execute_count if failure else None,
        failed_status=failure.status if failure else None,
    )
