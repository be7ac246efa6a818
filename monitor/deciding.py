"""What one sink is to hear of one group: cases with their obstacles, and a decision.

Joins the pure rules of ``core`` with who belongs together at the moment. Neither
asks, records nor tells.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime

from msgspec import Struct, structs

from monitor.core import decisions, notifications, obstacle, telling
from monitor.core.alerts import Name
from monitor.core.decisions import CaseDecision, Decision
from monitor.core.member import Member
from monitor.core.obstacle import Flapping
from monitor.core.routing import Destination, Route, is_several
from monitor.core.state import Phase, State
from monitor.core.telling import (
    NEVER_TOLD,
    Acked,
    Case,
    Circumstances,
    Obstacle,
    Silent,
    Speak,
    Told,
    Why,
    WhyNot,
)
from monitor.grouping import Grouping
from monitor.ports import Account

Traits = Mapping[str, str]
Mute = Callable[[Traits, datetime], Obstacle | None]
"""Finds the silence or the maintenance that an alert falls under."""


class Listener(Struct, frozen=True):
    """A sink that takes notifications; *wants* looks at the traits of an alert.

    *unfit* names what of its match does not fit some traits. *level*: it keeps a
    level of its own, like Alertmanager: it hears of every end, and after each start
    of what holds, and is sent as much as there is.
    """

    name: str
    wants: Callable[[Traits], bool]
    unfit: Callable[[Traits], str] = lambda _: ""
    level: bool = False


class Look(Struct, frozen=True, kw_only=True):
    """What is gathered of one group before anything is decided.

    *awaited* are the steps for whose failed hosts logs are on their way; None: it
    is not known of which. *known* is all there is to know where the group is no
    several. *since*: the start of this run.
    """

    group: str
    members: Mapping[str, Member]
    known: State | None = None
    account: Account
    now: datetime
    since: datetime
    lost: bool = False
    acked: Acked | None = None
    awaited: frozenset[int] | None = frozenset()

    @property
    def holds(self) -> bool:
        return any(member.alerts for member in self.members.values())

    @property
    def sequence(self) -> int:
        """Tell the last event that was known."""
        return max((each.sequence for each in self.members.values()), default=0)


class Outcome(Struct, frozen=True, kw_only=True):
    """What comes of it for one sink.

    *told* is what it knows from then on, as far as that still matters. *again* is when
    to look even if nothing changes.
    """

    listener: Listener
    decision: Speak | Silent
    told: Told | None
    record: Decision
    muted: bool = False
    again: datetime | None = None


class _Way(Struct, frozen=True):
    """How the alerts of a group lead to one sink: *rules* are those of the first."""

    listener: Listener
    cases: tuple[Case, ...]
    route: Route
    elsewhere: bool


class Deciding:
    def __init__(self, grouping: Grouping, *, mute: Mute, flapping: Flapping) -> None:
        self._grouping = grouping
        self._mute = mute
        self._flapping = flapping

    def decide(self, listener: Listener, look: Look) -> Outcome | None:
        """Decide for one sink; None where nothing is to be said about it at all."""
        known = look.account.told.get(listener.name)
        told = known if known is None or listener.level else _watched(known, look)
        way = self._way(listener, look, told.alerts if told else NEVER_TOLD)
        if told is None and not way.cases:
            if known is not None:
                return _silent(look, way, Silent(WhyNot.UNWATCHED), None, None)
            if way.elsewhere or not look.holds:
                return None
        about = self._circumstances(listener, look, told, way.cases)
        decision = telling.decide(way.cases, told, look.now, way.route.rules, about)
        if isinstance(decision, Speak):
            return _spoken(look, way, decision, told)
        if not way.cases and not told:
            decision = Silent(WhyNot.UNROUTED, self._unrouted(listener, look))
        kept = told
        if not look.lost:
            kept = telling.still_held(told, way.cases, about.flapping)
        return _silent(look, way, decision, told, kept)

    def _way(
        self, listener: Listener, look: Look, heard: Mapping[str, telling.Heard]
    ) -> _Way:
        cases: list[Case] = []
        route, elsewhere = None, False
        for member in look.members.values():
            for alert in member.alerts.values():
                traits = self._grouping.traits(member, alert)
                mine = self._destinations(listener, member.key, traits)
                here = next((d.route for d in mine if d.group == look.group), None)
                elsewhere = elsewhere or (here is None and bool(mine))
                id_ = telling.case_id(look.group, member.key, alert)
                if id_ in heard or here is not None:
                    found = self._mute(traits, look.now)
                    found = found or self._grouping.inhibited(traits)
                    if found is None and here is not None and id_ not in heard:
                        found = obstacle.found(alert, member, look.now, here.rules)
                    case = Case(id=id_, key=member.key, alert=alert, obstacle=found)
                    cases.append(case)
                    route = route or here
        ordered = sorted(cases, key=notifications.rank)
        return _Way(listener, tuple(ordered), route or self._grouping.root, elsewhere)

    def _destinations(
        self, listener: Listener, key: str, traits: Traits
    ) -> list[Destination]:
        if not listener.wants(traits):
            return []
        found = self._grouping.destinations(key, traits)
        return [each for each in found if each.sink == listener.name]

    def _circumstances(
        self,
        listener: Listener,
        look: Look,
        told: Told | None,
        cases: Sequence[Case],
    ) -> Circumstances:
        calm = {
            key: until
            for key, member in look.members.items()
            if (until := obstacle.calm_at(member.flips, self._flapping))
            and until > look.now
        }
        return Circumstances(
            lost=look.lost,
            acked=look.acked,
            awaited=frozenset(case.id for case in cases if _awaited(case, look)),
            flapping=calm,
            several=is_several(look.group),
            level=listener.level,
            anew=listener.level and told is not None and told.at < look.since,
        )

    def _unrouted(self, listener: Listener, look: Look) -> str:
        for member in look.members.values():
            for alert in member.alerts.values():
                traits = self._grouping.traits(member, alert)
                found = self._grouping.destinations(member.key, traits)
                if any(each.sink == listener.name for each in found):
                    unfit = listener.unfit(traits)
                    return f"its match does not fit{unfit and f': {unfit}'}"
        return "no route leads to it"


def _watched(told: Told, look: Look) -> Told | None:
    """Forget what was told of those whom nobody watches any more.

    Nobody is told that a watch ended; should it come back, all is news.
    """
    gone = {key for key, m in look.members.items() if m.phase is not Phase.WATCHED}
    if not gone:
        return told
    kept = {
        id_: heard
        for id_, heard in told.alerts.items()
        if telling.key_of(look.group, id_) not in gone
    }
    return structs.replace(told, alerts=kept) if kept else None


def _awaited(case: Case, look: Look) -> bool:
    if case.alert.name is not Name.HOSTS_FAILED:
        return False
    attempt = case.alert.attempt
    if look.awaited is None or attempt is None:
        return look.awaited is None
    return attempt.step_instance_id in look.awaited


def _spoken(look: Look, way: _Way, speak: Speak, told: Told | None) -> Outcome:
    if speak.reason is Why.RESOLVED and _unwatched(speak, look):
        speak = structs.replace(speak, reason=Why.UNWATCHED)
    after = telling.hearing(speak, told, look.now)
    muted = any(case.muted for case in way.cases)
    return Outcome(
        listener=way.listener,
        decision=speak,
        told=after,
        record=_record(way, speak.reason),
        muted=muted,
        again=_next(
            look.now,
            telling.remind_at(after, way.route.rules),
            *_ends(way.cases, after.alerts),
        ),
    )


def _unwatched(speak: Speak, look: Look) -> bool:
    keys = {telling.key_of(look.group, ended.id) for ended in speak.ended}
    known = [look.members[key] for key in keys if key in look.members]
    return bool(known) and all(m.phase is not Phase.WATCHED for m in known)


def _silent(
    look: Look,
    way: _Way,
    silent: Silent,
    told: Told | None,
    kept: Told | None,
) -> Outcome:
    heard = told.alerts if told else NEVER_TOLD
    remind = telling.remind_at(told, way.route.rules) if told else None
    muted = silent.reason is WhyNot.ACKNOWLEDGED or any(c.muted for c in way.cases)
    return Outcome(
        listener=way.listener,
        decision=silent,
        told=kept,
        record=_record(way, silent.reason, silent.detail, silent.until),
        muted=muted,
        again=_next(look.now, silent.until, remind, *_ends(way.cases, heard)),
    )


def _ends(
    cases: Sequence[Case], heard: Mapping[str, telling.Heard]
) -> Iterator[datetime | None]:
    for case in cases:
        if case.obstacle is not None and (case.muted or case.id not in heard):
            yield case.obstacle.until


def _next(now: datetime, *moments: datetime | None) -> datetime | None:
    """Give the first moment to come: what is past has had its say in this look."""
    return min((m for m in moments if m is not None and m > now), default=None)


def _record(
    way: _Way,
    reason: str,
    detail: str = "",
    until: datetime | None = None,
) -> Decision:
    kept = way.cases[: decisions.CASES]
    return Decision(
        sink=way.listener.name,
        reason=str(reason),
        detail=detail,
        route=way.route.name if way.cases else "",
        until=until,
        cases=tuple(_case_record(case) for case in kept),
        omitted=len(way.cases) - len(kept),
    )


def _case_record(case: Case) -> CaseDecision:
    found = case.obstacle
    if found is None:
        return CaseDecision(case.id)
    return CaseDecision(case.id, str(found.reason), found.detail)
