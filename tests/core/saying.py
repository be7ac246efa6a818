"""From alerts to what is decided and said of them, for one instance and one sink."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from msgspec import structs

from monitor.core import notifications, telling
from monitor.core import obstacle as obstacles
from monitor.core.alerts import Alert
from monitor.core.clusters import Tails
from monitor.core.member import Member
from monitor.core.message import Message
from monitor.core.model import Snapshot
from monitor.core.notifications import View
from monitor.core.telling import (
    CALM,
    Case,
    Circumstances,
    Obstacle,
    Rules,
    Silent,
    Speak,
    Told,
    Why,
)
from monitor.core.wording import Frame
from tests.core.builders import NOW

GROUP = "prod/biz/2/20000153"


def cases(holding: Iterable[Alert], rules: Rules = Rules()) -> tuple[Case, ...]:  # noqa: B008
    """Make cases of what holds, with the obstacles that *rules* put in their way."""
    return tuple(
        Case(
            id=alert.id,
            key=GROUP,
            alert=alert,
            obstacle=obstacles.found(alert, Member(key=GROUP), NOW, rules),
        )
        for alert in holding
    )


def speak(reason: Why, holding: Iterable[Alert] = ()) -> Speak:
    return Speak(reason, cases(holding))


def heard(holding: Iterable[Alert], now: datetime) -> Told:
    return telling.hearing(speak(Why.FIRST, holding), None, now)


def decide(
    holding: Sequence[Alert],
    told: Told | None,
    now: datetime,
    rules: Rules,
    *,
    lost: bool = False,
    awaited: Collection[int] = (),
    obstacle: Obstacle | None = None,
    about: Circumstances = CALM,
) -> Speak | Silent:
    """*awaited* are steps; *obstacle* is one that every case has."""
    known = cases(holding, rules)
    if obstacle is not None:
        known = tuple(structs.replace(case, obstacle=obstacle) for case in known)
    waiting = frozenset(
        case.id
        for case in known
        if case.alert.attempt and case.alert.attempt.step_instance_id in awaited
    )
    facts = structs.replace(about, lost=lost, awaited=waiting)
    return telling.decide(known, told, now, rules, facts)


def alerts(spoken: Speak) -> tuple[Alert, ...]:
    return tuple(case.alert for case in spoken.cases)


def build(
    frame: Frame,
    snapshot: Snapshot | None,
    spoken: Speak,
    *,
    number: int,
    last_sequence: int,
    now: datetime,
    tails: Tails | None = None,
) -> Message:
    view = View(frame=frame, snapshot=snapshot, tails=tails or {})
    return notifications.build(
        frame,
        lambda _: view,
        spoken,
        number=number,
        last_sequence=last_sequence,
        now=now,
    )
