"""Whether to tell a sink about a group, and why or why not.

A group is one incident: an instance, or several that belong together. Given its
cases (the alerts that hold, as one sink may be told of them), what the sink was
last told, and the time, ``decide`` answers with a reason, never with a bare bool.
The reasons are public: they stand in notifications, logs, metrics and in what
``explain`` shows.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from monitor.core.alerts import Alert, Name, Stage
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity

PROMPT: Final = 3
"""Updates of one incident that come as fast as ``group_interval`` lets them."""

SLOWEST: Final = timedelta(minutes=5)
"""The distance of updates doubles up to here, so that a long storm is few messages."""

RAREST: Final = timedelta(days=1)
"""Reminders become rarer, twice as rare each time, up to here."""


class Why(StrEnum):
    FIRST = "first"
    NEW_ALERT = "new_alert"
    MORE_HOSTS = "more_hosts"
    WORSE = "worse"
    REMINDER = "reminder"
    RESOLVED = "resolved"
    STORM = "storm"
    PARTLY_RESOLVED = "partly_resolved"
    UNWATCHED = "unwatched"


class WhyNot(StrEnum):
    ALREADY_TOLD = "already_told"
    IMPROVING = "improving"
    UNROUTED = "unrouted"
    SILENCED = "silenced"
    MAINTENANCE = "maintenance"
    INHIBITED = "inhibited"
    ACKNOWLEDGED = "acknowledged"
    FLAPPING = "flapping"
    BELOW_THRESHOLD = "below_threshold"
    PENDING = "pending"
    SETTLING = "settling"
    GROUPING = "grouping"
    WAITING_FOR_LOGS = "waiting_for_logs"
    STORM = "storm"
    UNWATCHED = "unwatched"


class Obstacle(Struct, frozen=True):
    """Why a case is not to be told now; *until*: when that ends by itself."""

    reason: WhyNot
    detail: str = ""
    until: datetime | None = None


_MUTES: Final = frozenset({WhyNot.SILENCED, WhyNot.MAINTENANCE, WhyNot.INHIBITED})
"""What keeps quiet about a case even if it was told before."""


class Case(Struct, frozen=True, kw_only=True):
    """One alert of a group; *key* is that of the instance, scope or source."""

    id: str
    key: str
    alert: Alert
    obstacle: Obstacle | None = None

    @property
    def muted(self) -> bool:
        return self.obstacle is not None and self.obstacle.reason in _MUTES


class Heard(Struct, frozen=True):
    """What was said of one alert; another *since* is another alert."""

    since: datetime
    severity: Severity
    occasions: int
    failed: int
    attempt: Attempt | None = None


class Told(Struct, frozen=True, kw_only=True):
    """What a sink was last told about a group; no *alerts*: all was well.

    *alerts* are by case. *updates* counts messages since the first of the
    incident, *reminders* those of late that brought nothing new.
    """

    at: datetime
    alerts: Mapping[str, Heard] = {}
    updates: int = 0
    reminders: int = 0


class Rules(Struct, frozen=True, kw_only=True):
    """How patient to be; by default at once.

    *holding* and *never* are about kinds of alert: how long one must hold, and
    which are told to nobody (of failed hosts also: at which stage). *after* is for those to whom it is escalated.
    """

    at_least: int = 1
    percent: float = 0.0
    holding: Mapping[Name, timedelta] = {}
    never: frozenset[Name | Stage] = frozenset()
    settle_for: timedelta = timedelta(0)
    after: timedelta = timedelta(0)
    group_wait: timedelta = timedelta(0)
    group_interval: timedelta = timedelta(0)
    repeat_interval: timedelta = timedelta(hours=4)
    log_wait: timedelta = timedelta(seconds=5)


class Acked(Struct, frozen=True):
    """Somebody cares for the incident; *sticky*: and wants to hear no more of it."""

    who: str = ""
    sticky: bool = False
    until: datetime | None = None


class Circumstances(Struct, frozen=True, kw_only=True):
    """What bears on a decision beside what holds and what was told.

    *lost*: the source is, so what holds may be out of date. *awaited* are the cases
    for whose failed hosts logs are on their way. *flapping* says of members that
    come and go when they will have been calm for long enough. *several*: the group
    is no single instance. *level*: the sink keeps a level of its own and must hear
    of every end; *anew*: and, after each start, of what holds.
    """

    lost: bool = False
    acked: Acked | None = None
    awaited: frozenset[str] = frozenset()
    flapping: Mapping[str, datetime] = {}
    several: bool = False
    level: bool = False
    anew: bool = False


class Ended(Struct, frozen=True):
    """A case that was told and holds no more, or now has another severity."""

    id: str
    heard: Heard


class Speak(Struct, frozen=True):
    reason: Why
    cases: tuple[Case, ...] = ()
    ended: tuple[Ended, ...] = ()


class Silent(Struct, frozen=True):
    """*until*: when to decide anew, even if nothing changes."""

    reason: WhyNot
    detail: str = ""
    until: datetime | None = None


NEVER_TOLD: Final[Mapping[str, Heard]] = {}
CALM: Final = Circumstances()


def case_id(group: str, key: str, alert: Alert) -> str:
    """Name an alert within its group: an instance's own needs no more than its id."""
    return alert.id if key == group else f"{key}!{alert.id}"


def key_of(group: str, case: str) -> str:
    """Give the key of the member that a case is about."""
    key, mark, _ = case.rpartition("!")
    return key if mark else group


def name_of(case: str) -> str:
    """Give the name of the alert that a case is about."""
    return case.rpartition("!")[2].partition("/")[0]


def decide(
    cases: Sequence[Case],
    told: Told | None,
    now: datetime,
    rules: Rules,
    about: Circumstances = CALM,
) -> Speak | Silent:
    """Decide for one sink and one group.

    A case that was told stays worth telling when it falls below a threshold, until
    it is over; once all that were told are over, what was never worth telling does
    not delay the good news. The first message waits a while for what belongs with
    it: more cases, and logs. Later ones keep their distance.
    """
    heard = told.alerts if told else NEVER_TOLD
    if about.lost:
        return Silent(WhyNot.INHIBITED, "its source cannot be seen")

    worth = tuple(c for c in cases if c.id in heard or c.obstacle is None)
    if told and heard:
        if worth:
            return _again(worth, told, now, rules, about)
        return _all_clear(told, now, rules, about)
    if worth:
        return _first(worth, now, rules, about)
    return _withheld(cases) or Silent(WhyNot.ALREADY_TOLD)


def _first(
    worth: tuple[Case, ...], now: datetime, rules: Rules, about: Circumstances
) -> Speak | Silent:
    if about.acked and (rules.after or about.acked.sticky):
        return _acknowledged(about.acked)
    since = min(case.alert.since for case in worth)
    if waits(since, now, rules.group_wait):
        return Silent(WhyNot.GROUPING, until=since + rules.group_wait)
    unexplained = [case.alert.since for case in worth if case.id in about.awaited]
    if unexplained and waits(min(unexplained), now, rules.log_wait):
        # Since the first hosts failed, not the last.
        return Silent(WhyNot.WAITING_FOR_LOGS, until=min(unexplained) + rules.log_wait)
    return Speak(Why.FIRST, _plain(worth))


def _all_clear(
    told: Told, now: datetime, rules: Rules, about: Circumstances
) -> Speak | Silent:
    calm = [until for until in about.flapping.values() if until > now]
    if calm:
        return Silent(WhyNot.FLAPPING, "it was over before", max(calm))
    return _paced(Speak(Why.RESOLVED, (), _ended((), told)), told, now, rules, about)


def _again(
    worth: tuple[Case, ...],
    told: Told,
    now: datetime,
    rules: Rules,
    about: Circumstances,
) -> Speak | Silent:
    heard = told.alerts
    voiced = [case for case in worth if not case.muted]
    reason = _reason(voiced, heard, about.flapping)
    if about.acked and (about.acked.sticky or reason is None) and not about.level:
        return _acknowledged(about.acked)
    ended = _ended(worth, told)
    if reason:
        return _paced(Speak(reason, _plain(worth), ended), told, now, rules, about)
    if about.anew or (voiced and now - told.at >= _patience(told, rules)):
        return Speak(Why.REMINDER, _plain(worth), ended)
    if about.level and ended:
        return Speak(Why.PARTLY_RESOLVED, _plain(worth), ended)
    return _nothing_new(worth, voiced, heard)


def _nothing_new(
    worth: Sequence[Case],
    voiced: Sequence[Case],
    heard: Mapping[str, Heard],
) -> Silent:
    if not voiced and (mute := _withheld(worth)):
        return mute
    if any(_came_back(case, heard) for case in voiced):
        return Silent(WhyNot.FLAPPING, "it was told, over, and is back")
    improving = len(worth) < len(heard) or any(_better(c, heard[c.id]) for c in voiced)
    return Silent(WhyNot.IMPROVING if improving else WhyNot.ALREADY_TOLD)


def _acknowledged(acked: Acked) -> Silent:
    by = f"by {acked.who}" if acked.who else ""
    return Silent(WhyNot.ACKNOWLEDGED, by, acked.until)


def _withheld(cases: Sequence[Case]) -> Silent | None:
    """Give the obstacle of the first, and the moment when any of them is gone."""
    obstacles = [case.obstacle for case in cases if case.obstacle is not None]
    if not obstacles:
        return None
    ends = [obstacle.until for obstacle in obstacles if obstacle.until is not None]
    first = obstacles[0]
    return Silent(first.reason, first.detail, min(ends, default=None))


def _reason(
    voiced: Sequence[Case],
    heard: Mapping[str, Heard],
    flapping: Mapping[str, datetime],
) -> Why | None:
    if any(_is_news(case, heard, flapping) for case in voiced):
        return Why.NEW_ALERT

    known = [case for case in voiced if not _came_back(case, heard)]
    again = [c for c in known if c.alert.occasions > heard[c.id].occasions]
    if any(case.alert.name is Name.HOSTS_FAILED for case in again):
        return Why.MORE_HOSTS
    if again or any(_worse(case, heard[case.id]) for case in voiced):
        return Why.WORSE
    return None


def _is_news(
    case: Case, heard: Mapping[str, Heard], flapping: Mapping[str, datetime]
) -> bool:
    if case.id not in heard:
        return True
    return _came_back(case, heard) and case.key not in flapping


def _came_back(case: Case, heard: Mapping[str, Heard]) -> bool:
    return case.id in heard and case.alert.since != heard[case.id].since


def _worse(case: Case, heard: Heard) -> bool:
    severity = case.alert.severity
    return severity is Severity.CRITICAL and heard.severity is Severity.WARNING


def _better(case: Case, heard: Heard) -> bool:
    return case.alert.failed < heard.failed


def waits(since: datetime, now: datetime, wait: timedelta) -> bool:
    """Tell whether less than *wait* has passed since then."""
    # A clock that was set back must not make anybody wait for hours.
    return timedelta(0) <= now - since < wait


def _paced(
    speak: Speak, told: Told, now: datetime, rules: Rules, about: Circumstances
) -> Speak | Silent:
    distance = _distance(speak.reason, told, rules, several=about.several)
    if waits(told.at, now, distance):
        return Silent(WhyNot.GROUPING, until=told.at + distance)
    return speak


def _distance(why: Why, told: Told, rules: Rules, *, several: bool) -> timedelta:
    """Say how far apart two messages are to be: what grows is told ever more rarely."""
    growing = why is Why.MORE_HOSTS or (several and why is Why.NEW_ALERT)
    if not growing or told.updates < PROMPT:
        return rules.group_interval
    slower = _doubled(rules.group_interval, told.updates - PROMPT + 1)
    return min(slower, max(SLOWEST, rules.group_interval))


def _patience(told: Told, rules: Rules) -> timedelta:
    """Say how long after the last message to remind."""
    rarer = _doubled(rules.repeat_interval, told.reminders)
    return min(rarer, max(RAREST, rules.repeat_interval))


def _doubled(interval: timedelta, times: int) -> timedelta:
    return interval * (1 << min(times, 20))


def _plain(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Leave out the obstacles, so that sinks that are told the same share a message."""
    return tuple(structs.replace(c, obstacle=None) if c.obstacle else c for c in cases)


def _ended(worth: Sequence[Case], told: Told) -> tuple[Ended, ...]:
    severities = {case.id: case.alert.severity for case in worth}
    return tuple(
        Ended(id_, heard)
        for id_, heard in told.alerts.items()
        if severities.get(id_) != heard.severity
    )


def hearing(speak: Speak, told: Told | None, now: datetime) -> Told:
    """Remember what was said."""
    heard = {case.id: _heard(case.alert) for case in speak.cases}
    if told is None or not told.alerts or not heard:
        return Told(at=now, alerts=heard)
    if speak.reason is Why.REMINDER:
        return Told(
            at=now, alerts=heard, updates=told.updates, reminders=told.reminders + 1
        )
    return Told(at=now, alerts=heard, updates=told.updates + 1)


def _heard(alert: Alert) -> Heard:
    return Heard(
        alert.since, alert.severity, alert.occasions, alert.failed, alert.attempt
    )


def remind_at(told: Told, rules: Rules) -> datetime | None:
    """Say when to remind; None where all is well."""
    return told.at + _patience(told, rules) if told.alerts else None


def still_held(
    told: Told | None, holding: Sequence[Case], flapping: Mapping[str, datetime] = {}
) -> Told | None:
    """Forget what was said of alerts that ended while others hold.

    Should one of them come back, it is news again, unless it is *flapping*.
    """
    if told is None or not holding:
        return told
    ids = {case.id for case in holding}
    heard = {
        id_: heard
        for id_, heard in told.alerts.items()
        if id_ in ids or id_.rpartition("!")[0] in flapping
    }
    return structs.replace(told, alerts=heard)


def severity(alerts: Iterable[Alert]) -> str:
    """Name the worst severity; empty when nothing holds."""
    severities = {alert.severity for alert in alerts}
    return next(
        (s for s in (Severity.CRITICAL, Severity.WARNING) if s in severities), ""
    )
