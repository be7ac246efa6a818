"""Why a sink was told, or was not, in words that a person understands.

From what was recorded, never from a guess: verdicts for notifications; for events
what a sink asked for when it read them, and how far it and its deliveries are. The
shapes are public, here and wherever they stand inside others.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from monitor.core import subscription
from monitor.core.decisions import CaseDecision, Decision, Verdict
from monitor.core.message import Kind, Message
from monitor.core.subscription import Subscription
from monitor.core.telling import Why, WhyNot


class Fate(StrEnum):
    """What became of a message that a sink was to get."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    BEHIND = "behind"
    DEAD = "dead"
    DROPPED = "dropped"
    UNREAD = "unread"


class LeftOut(StrEnum):
    """Why a message was never meant for a sink."""

    LATER = "later"
    NO_SUCH_SINK = "no_such_sink"
    NOT_TAKEN = "not_taken"
    UNMATCHED = "unmatched"


class _Phrase(Struct, frozen=True):
    en: str
    zh: str

    def spoken(self, locale: str) -> str:
        return self.zh if locale.lower().startswith("zh") else self.en


TOLD: Final[Mapping[str, _Phrase]] = {
    Why.FIRST: _Phrase("the first message about it", "首次通知"),
    Why.NEW_ALERT: _Phrase("another alert was raised", "出现了新的告警"),
    Why.MORE_HOSTS: _Phrase("more hosts failed", "失败主机增多"),
    Why.WORSE: _Phrase("it got worse", "情况恶化"),
    Why.REMINDER: _Phrase("a reminder: it still holds", "仍未恢复，再次提醒"),
    Why.RESOLVED: _Phrase("all that it was told of is over", "已通知的告警全部结束"),
    Why.PARTLY_RESOLVED: _Phrase(
        "some of what it was told of is over", "已通知的告警部分结束"
    ),
    Why.STORM: _Phrase(
        "too much happened at once, so it was told together with others",
        "短时间内告警过多，已合并通知",
    ),
    Why.UNWATCHED: _Phrase("nobody watches it any more", "已不再监控"),
}
SILENT: Final[Mapping[str, _Phrase]] = {
    WhyNot.ALREADY_TOLD: _Phrase(
        "it was told before, and nothing got worse since", "已通知过，此后没有恶化"
    ),
    WhyNot.IMPROVING: _Phrase(
        "it was told before, and things are getting better", "已通知过，且正在好转"
    ),
    WhyNot.UNROUTED: _Phrase("it is not meant for this sink", "不发往该渠道"),
    WhyNot.SILENCED: _Phrase("somebody silenced it", "已被静默"),
    WhyNot.MAINTENANCE: _Phrase("it falls into a maintenance window", "处于维护窗口"),
    WhyNot.INHIBITED: _Phrase("another alert explains it", "被其他告警抑制"),
    WhyNot.ACKNOWLEDGED: _Phrase("somebody takes care of it", "已有人认领"),
    WhyNot.FLAPPING: _Phrase("it comes and goes too often", "状态反复抖动"),
    WhyNot.BELOW_THRESHOLD: _Phrase("too few hosts failed", "失败主机未达阈值"),
    WhyNot.PENDING: _Phrase("it has not held for long enough", "持续时间不足"),
    WhyNot.SETTLING: _Phrase("a retry may still mend it", "等待可能的重试"),
    WhyNot.GROUPING: _Phrase(
        "it waits for what belongs into the same message", "等待同组告警合并"
    ),
    WhyNot.WAITING_FOR_LOGS: _Phrase(
        "it waits for the logs of the hosts that failed", "等待失败主机的日志"
    ),
    WhyNot.STORM: _Phrase(
        "too much happens at once; it will be told together with others",
        "短时间内告警过多，将合并通知",
    ),
    WhyNot.UNWATCHED: _Phrase("nobody watches it any more", "已不再监控"),
}
LEFT_OUT: Final[Mapping[str, _Phrase]] = {
    LeftOut.LATER: _Phrase(
        "nothing is on record of it at that time; it came later",
        "当时没有该渠道的记录，之后才加入",
    ),
    LeftOut.NO_SUCH_SINK: _Phrase("it was not configured then", "当时没有配置该渠道"),
    LeftOut.NOT_TAKEN: _Phrase("it takes no events", "该渠道不接收事件"),
    LeftOut.UNMATCHED: _Phrase("its match leaves it out", "不符合该渠道的 match"),
}
FATES: Final[Mapping[str, _Phrase]] = {
    Fate.DELIVERED: _Phrase("delivered", "已送达"),
    Fate.WAITING: _Phrase("on its way", "等待投递"),
    Fate.BEHIND: _Phrase("waits behind another message", "排在另一条消息之后"),
    Fate.DEAD: _Phrase("given up; it is a dead letter", "已放弃，进入死信"),
    Fate.DROPPED: _Phrase("thrown away", "已丢弃"),
    Fate.UNREAD: _Phrase("not read yet", "尚未读取"),
}

_NO_ALERTS: Final = _Phrase("it takes no alerts", "该渠道不接收告警")
_GONE: Final = _Phrase("it is configured no more", "该渠道已不在配置中")


class Recorded(Struct, frozen=True):
    """An event, and where it stands in the log."""

    position: int
    event: Message


class Waiting(Struct, frozen=True, kw_only=True):
    """On its way; *behind*: the message that is first in its line, if another is."""

    due: datetime
    tries: int = 0
    error: str = ""
    behind: str = ""


class Dead(Struct, frozen=True, kw_only=True):
    at: datetime
    tries: int
    error: str


class Dropped(Struct, frozen=True, kw_only=True):
    at: datetime
    reason: str


class Facts(Struct, frozen=True, kw_only=True):
    """What is on record of a message at one sink.

    *cursor*: how far the sink has read the log; None: it reads none. *passed_over*:
    with a part of the log. *passed_on*: the sink that was told in its stead.
    """

    sink: str
    history: tuple[Subscription, ...] = ()
    cursor: int | None = None
    waiting: Waiting | None = None
    dead: Dead | None = None
    dropped: Dropped | None = None
    passed_over: Dropped | None = None
    passed_on: str = ""


class DeliveryData(Struct, kw_only=True, omit_defaults=True):
    """*due*: when it is tried next; *at*: when it was given up.

    *passed_on*: the sink that was told as well, as this one was not there.
    """

    state: str
    said: str = ""
    tries: int = 0
    due: datetime | None = None
    at: datetime | None = None
    error: str = ""
    behind: str = ""
    passed_on: str = ""


class CaseData(Struct, kw_only=True):
    """What stood in the way of one alert; *reason* is empty where nothing did."""

    alert: str
    reason: str
    said: str
    detail: str


class SinkData(Struct, kw_only=True):
    """*notification*: the id under which it was told. *until*: when to decide anew.

    *omitted* counts the cases beyond those that are listed.
    """

    sink: str
    told: bool
    reason: str
    said: str
    detail: str = ""
    route: str = ""
    notification: str = ""
    until: datetime | None = None
    delivery: DeliveryData | None = None
    cases: list[CaseData] = []
    omitted: int = 0


class VerdictData(Struct, kw_only=True):
    """*sequence*: the last event that was known when this was decided."""

    group: str
    at: datetime
    sequence: int
    sinks: list[SinkData]


def of_verdict(
    verdict: Verdict,
    locale: str = "en",
    deliveries: Mapping[tuple[str, str], DeliveryData] | None = None,
) -> VerdictData:
    """Word one decision about a group; *deliveries* are by sink and notification."""
    known = deliveries or {}
    return VerdictData(
        group=verdict.group,
        at=verdict.at,
        sequence=verdict.sequence,
        sinks=[
            of_decision(each, locale, known.get((each.sink, each.notification)))
            for each in verdict.decisions
        ],
    )


def of_decision(
    decision: Decision, locale: str = "en", delivery: DeliveryData | None = None
) -> SinkData:
    told = bool(decision.notification)
    return SinkData(
        sink=decision.sink,
        told=told,
        reason=decision.reason,
        said=_spoken(TOLD if told else SILENT, decision.reason, locale),
        detail=decision.detail,
        route=decision.route,
        notification=decision.notification,
        until=decision.until,
        delivery=delivery,
        cases=[_case(case, locale) for case in decision.cases],
        omitted=decision.omitted,
    )


def of_others(
    asked: Mapping[str, Sequence[Subscription]],
    at: datetime | None = None,
    locale: str = "en",
) -> Iterator[SinkData]:
    """Say of sinks that nothing was decided for why they hear of no alert.

    *asked* is what each of them asked for, the oldest first; what held *at* that
    time counts, or else what holds now.
    """
    for sink, history in asked.items():
        held = subscription.at(history, at) if at else next(reversed(history), None)
        if held is None:
            yield _never_meant(sink, LeftOut.LATER, locale)
        elif not held.send:
            yield _never_meant(sink, LeftOut.NO_SUCH_SINK, locale)
        elif Kind.ALERTS not in held.send:
            yield SinkData(
                sink=sink,
                told=False,
                reason=LeftOut.NOT_TAKEN,
                said=_NO_ALERTS.spoken(locale),
                detail=_sends(held),
            )


def _never_meant(sink: str, why: LeftOut, locale: str, detail: str = "") -> SinkData:
    said = LEFT_OUT[why].spoken(locale)
    return SinkData(sink=sink, told=False, reason=why, said=said, detail=detail)


def _sends(held: Subscription) -> str:
    return f"send: [{', '.join(held.send)}]"


def _case(case: CaseDecision, locale: str) -> CaseData:
    return CaseData(
        alert=case.id,
        reason=case.reason,
        said=_spoken(SILENT, case.reason, locale),
        detail=case.detail,
    )


def of_event(found: Recorded, facts: Facts, locale: str = "en") -> SinkData:
    """Say of one sink whether it was told of an event."""
    unread = facts.cursor is not None and facts.cursor < found.position
    if not (facts.waiting or facts.dead or facts.dropped):
        held = subscription.in_force(facts.history, found.position)
        left = _left_out(held, found.event)
    else:  # whoever has it wanted it
        left = None
    if left is not None:
        why, detail = left
        return _never_meant(facts.sink, why, locale, detail)
    fate = of_delivery(facts, locale, unread=unread)
    gone = bool(facts.history) and not facts.history[-1].send
    return SinkData(
        sink=facts.sink,
        told=fate.state == Fate.DELIVERED,
        reason=fate.state,
        said=fate.said,
        detail=_GONE.spoken(locale) if gone else "",
        delivery=fate,
    )


def _left_out(held: Subscription | None, event: Message) -> tuple[LeftOut, str] | None:
    if held is None:
        return LeftOut.LATER, ""
    if not held.send:
        return LeftOut.NO_SUCH_SINK, ""
    if Kind.EVENTS not in held.send:
        return LeftOut.NOT_TAKEN, _sends(held)
    matcher = subscription.unfit(held, event.traits)
    return (LeftOut.UNMATCHED, matcher) if matcher else None


def of_delivery(
    facts: Facts, locale: str = "en", *, unread: bool = False
) -> DeliveryData:
    """Say how far a message that was meant for a sink has come."""
    fate = _fate(facts, unread=unread)
    said = FATES[fate.state].spoken(locale)
    return structs.replace(fate, said=said, passed_on=facts.passed_on)


def _fate(facts: Facts, *, unread: bool) -> DeliveryData:
    waiting, dead = facts.waiting, facts.dead
    given_up = facts.dropped or facts.passed_over
    if waiting is not None:
        return DeliveryData(
            state=Fate.BEHIND if waiting.behind else Fate.WAITING,
            tries=waiting.tries,
            due=waiting.due,
            error=waiting.error,
            behind=waiting.behind,
        )
    if dead is not None:
        return DeliveryData(
            state=Fate.DEAD, tries=dead.tries, at=dead.at, error=dead.error
        )
    if given_up is not None:
        return DeliveryData(state=Fate.DROPPED, at=given_up.at, error=given_up.reason)
    return DeliveryData(state=Fate.UNREAD if unread else Fate.DELIVERED)


def _spoken(phrases: Mapping[str, _Phrase], reason: str, locale: str) -> str:
    """Word a reason; one that this version does not know stands as it is."""
    found = phrases.get(reason)
    return found.spoken(locale) if found else reason
