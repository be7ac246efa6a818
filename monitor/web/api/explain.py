"""Why somebody was told of something, or was not, from what is on record."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, Protocol

from aiohttp import web
from msgspec import Struct, structs

from monitor.core import explaining, notifications, routing
from monitor.core.decisions import Verdict
from monitor.core.explaining import DeliveryData, Facts, Recorded, SinkData, VerdictData
from monitor.core.member import Member
from monitor.core.subscription import Subscription
from monitor.core.telling import Case
from monitor.core.wording import Frame
from monitor.web import api
from monitor.web.api import alerts, asked, named, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.alerts import AlertData
from monitor.web.shapes.explain import ExplanationData, GroupData

PATH: Final = f"{api.ROOT}/explain"

ALERTS: Final = 100
TRACED: Final = 20
"""Notifications whose deliveries are looked up for one answer."""


class Records(Protocol):
    """What the store has on record."""

    async def recorded(self, key: str, sequence: int) -> Recorded | None: ...

    async def facts(
        self, id_: str, sinks: Sequence[str], position: int | None = None
    ) -> list[Facts]: ...

    async def subscriptions(self) -> list[Subscription]: ...

    async def told_under(self, group: str, notification: str) -> Verdict | None: ...

    async def verdicts(self, group: str, most: int) -> list[Verdict]: ...

    async def members(self, keys: Collection[str]) -> list[Member]: ...


class House(Struct, frozen=True, kw_only=True):
    """What the configuration in force adds: *sinks* and *sources* by name.

    *groups_of* and *members* say who belongs together at the moment.
    """

    sinks: tuple[str, ...]
    sources: tuple[str, ...]
    groups_of: Callable[[str], Collection[str]]
    members: Callable[[str], Collection[str]]
    frame: Callable[[str], Frame]
    locale: str = "en"


class Asked(Struct, frozen=True):
    of: str
    sink: str | None
    most: int
    locale: str


def operations(records: Records, house: House) -> list[Operation]:
    explainer = Explainer(records, house)

    async def show(request: web.Request) -> web.Response:
        wanted = _asked(request, house)
        found = await explainer.explain(wanted)
        if wanted.sink is not None:
            found = _about(found, wanted.sink, house)
        return asked.answer(found)

    return [
        operation.get(
            PATH,
            show,
            "Tell why somebody was told of something, or was not.",
            ExplanationData,
            query=(
                Parameter(name="of", help=named.HOW, required=True),
                Parameter(name="sink", help="Only of this sink."),
                Parameter(name="locale", help="en or zh-CN."),
                operation.LIMIT,
            ),
            refusals=(404,),
        )
    ]


def _asked(request: web.Request, house: House) -> Asked:
    of = request.query.get("of", "").strip()
    if not 0 < len(of) <= named.OF_MAX:
        raise web.HTTPBadRequest(text=f"of: {named.HOW}")
    return Asked(
        of=of,
        sink=request.query.get("sink"),
        most=asked.span(request).limit if "limit" in request.query else 10,
        locale=request.query.get("locale", house.locale),
    )


class Explainer:
    def __init__(self, records: Records, house: House) -> None:
        self._records = records
        self._house = house

    async def explain(self, wanted: Asked) -> ExplanationData:
        of = named.read(wanted.of, self._house.sources)
        match of.kind:
            case "event":
                return await self._event(of.key, of.number, wanted)
            case "notification":
                return await self._notification(of.key, of.number, wanted)
            case _:
                return await self._level(structs.replace(wanted, of=of.key))

    async def _event(self, key: str, number: int, wanted: Asked) -> ExplanationData:
        found = await self._records.recorded(key, number)
        if found is None:
            raise web.HTTPNotFound(
                text=f"no event {key}#{number} is on record: it never was, or it is"
                " older than retention"
            )
        facts = await self._records.facts(
            found.event.id, self._house.sinks, found.position
        )
        return ExplanationData(
            of=found.event.id,
            kind="event",
            at=found.event.time,
            type=found.event.type,
            sinks=[explaining.of_event(found, each, wanted.locale) for each in facts],
        )

    async def _notification(
        self, group: str, number: int, wanted: Asked
    ) -> ExplanationData:
        id_ = f"{group}!{number}"
        verdict = await self._records.told_under(group, id_)
        if verdict is None:
            raise web.HTTPNotFound(
                text=f"no notification {id_} is on record: it never was, or it is"
                " older than retention"
            )
        return ExplanationData(
            of=id_,
            kind="notification",
            at=verdict.at,
            sinks=await self._others([verdict], wanted),
            groups=[await self._group(group, [verdict], wanted)],
        )

    async def _level(self, wanted: Asked) -> ExplanationData:
        of, house = wanted.of, self._house
        several = routing.is_several(of)
        groups = [of] if several else dict.fromkeys((of, *sorted(house.groups_of(of))))
        found = {
            group: verdicts
            for group in groups
            if (verdicts := await self._records.verdicts(group, wanted.most))
        }
        latest = [verdicts[0] for verdicts in found.values()]
        keys = house.members(of) or _mentioned(latest) if several else [of]
        members = await self._records.members(keys)
        decided = [await self._group(*each, wanted) for each in found.items()]
        if not members and not decided and of not in house.sources:
            raise web.HTTPNotFound(text=f"nothing is known of {of}; {named.HOW}")
        wrong = latest or any(each.alerts for each in members)
        snapshot = None if several or not members else members[0].snapshot
        return ExplanationData(
            of=of,
            kind="group" if several else "key",
            name=snapshot.name if snapshot else "",
            alerts=list(self._alerts(members)),
            sinks=await self._others(latest, wanted) if wrong else [],
            groups=decided,
        )

    async def _others(
        self, verdicts: Sequence[Verdict], wanted: Asked
    ) -> list[SinkData]:
        """Say of the sinks of which *verdicts* say nothing why they hear nothing."""
        decided = {each.sink for one in verdicts for each in one.decisions}
        named = [wanted.sink] if wanted.sink else self._house.sinks
        asked: dict[str, list[Subscription]] = {
            name: [] for name in named if name not in decided
        }
        for each in await self._records.subscriptions():
            if each.sink in asked:
                asked[each.sink].append(each)
        at = max((verdict.at for verdict in verdicts), default=None)
        known = {name: history for name, history in asked.items() if history}
        return list(explaining.of_others(known, at, wanted.locale))

    def _alerts(self, members: Iterable[Member]) -> Iterator[AlertData]:
        cases = [
            (Case(id=f"{one.key}!{id_}", key=one.key, alert=alert), one)
            for one in members
            for id_, alert in one.alerts.items()
        ]
        cases.sort(key=lambda case: notifications.rank(case[0]))
        for case, member in cases[:ALERTS]:
            yield alerts.data(member, case.alert, self._house.frame(member.key))

    async def _group(
        self, group: str, verdicts: Sequence[Verdict], wanted: Asked
    ) -> GroupData:
        ways = await self._ways(verdicts, wanted.locale)
        said = [explaining.of_verdict(each, wanted.locale, ways) for each in verdicts]
        return GroupData(group=group, verdicts=said)

    async def _ways(
        self, verdicts: Sequence[Verdict], locale: str
    ) -> dict[tuple[str, str], DeliveryData]:
        """Say how the latest notifications were delivered, by sink and id."""
        told = {
            (each.sink, each.notification): None
            for verdict in verdicts
            for each in verdict.decisions
            if each.notification
        }
        found: dict[tuple[str, str], DeliveryData] = {}
        for id_ in list(dict.fromkeys(id_ for _, id_ in told))[:TRACED]:
            sinks = [sink for sink, other in told if other == id_]
            for facts in await self._records.facts(id_, sinks):
                if facts.sink in sinks:
                    found[facts.sink, id_] = explaining.of_delivery(facts, locale)
        return found


def _mentioned(verdicts: Iterable[Verdict]) -> set[str]:
    """Name the groups that a message about many told of."""
    cases = (it for v in verdicts for each in v.decisions for it in each.cases)
    return {case.id for case in cases}


def _about(found: ExplanationData, sink: str, house: House) -> ExplanationData:
    """Leave out all but one sink."""
    sinks = _only(found.sinks, sink)
    groups = [
        structs.replace(group, verdicts=list(_verdicts(group.verdicts, sink)))
        for group in found.groups
    ]
    if not sinks and sink not in house.sinks and not any(g.verdicts for g in groups):
        known = ", ".join(house.sinks)
        raise web.HTTPNotFound(text=f"no sink is called {sink!r}; there are: {known}")
    return structs.replace(found, sinks=sinks, groups=groups)


def _verdicts(verdicts: Iterable[VerdictData], sink: str) -> Iterator[VerdictData]:
    for verdict in verdicts:
        sinks = _only(verdict.sinks, sink)
        if sinks:
            yield structs.replace(verdict, sinks=sinks)


def _only(sinks: Iterable[SinkData], name: str) -> list[SinkData]:
    """Leave out all but *name*, and those in whose stead it was told."""
    return [
        each
        for each in sinks
        if each.sink == name or (each.delivery and each.delivery.passed_on == name)
    ]
