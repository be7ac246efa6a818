"""Whether to tell a sink about a group, and why or why not.

Given the alerts that hold, what the sink was last told, and the time, ``decide``
answers with a reason, never with a bare bool. The reasons are public: they stand
in notifications, logs and, later, in metrics.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from monitor.core.alerts import Alert, Name
from monitor.core.watch import Severity


class Why(StrEnum):
    FIRST = "first"
    NEW_ALERT = "new_alert"
    MORE_HOSTS = "more_hosts"
    WORSE = "worse"
    REMINDER = "reminder"
    RESOLVED = "resolved"


class WhyNot(StrEnum):
    ALREADY_TOLD = "already_told"
    IMPROVING = "improving"
    INHIBITED = "inhibited"
    BELOW_THRESHOLD = "below_threshold"
    WAITING_FOR_LOGS = "waiting_for_logs"


class Heard(Struct, frozen=True):
    """What was said of one alert; another *since* is another alert."""

    since: datetime
    severity: Severity
    occasions: int
    failed: int


class Told(Struct, frozen=True, kw_only=True):
    """What a sink was last told about a group; no *alerts*: all was well."""

    at: datetime
    alerts: Mapping[str, Heard] = {}


class Rules(Struct, frozen=True, kw_only=True):
    at_least: int = 1
    percent: float = 0.0
    repeat_interval: timedelta = timedelta(hours=4)
    log_wait: timedelta = timedelta(seconds=5)


class Speak(Struct, frozen=True):
    reason: Why
    alerts: tuple[Alert, ...]


class Silent(Struct, frozen=True):
    """*until*: when to decide anew, even if nothing changes."""

    reason: WhyNot
    until: datetime | None = None


NEVER_TOLD: Mapping[str, Heard] = {}


def decide(
    holding: Sequence[Alert],
    told: Told | None,
    now: datetime,
    rules: Rules,
    *,
    inhibited: bool = False,
    awaited: Collection[int] = (),
) -> Speak | Silent:
    """Decide for one sink and one group.

    *inhibited*: the source is lost, so what holds may be out of date. *awaited* are
    the steps of whose failed hosts logs are on their way: the first message waits
    for them a while, no later one does, and they are no reason to speak. An alert
    that was told stays worth telling when it falls below the threshold, until it
    is over; once all that were told are over, what was never worth telling does
    not delay the good news.
    """
    heard = told.alerts if told else NEVER_TOLD
    if inhibited:
        return Silent(WhyNot.INHIBITED)
    if not holding and not heard:
        return Silent(WhyNot.ALREADY_TOLD)

    worth = tuple(a for a in holding if a.id in heard or _counts(a, rules))
    if not worth:
        return Speak(Why.RESOLVED, ()) if heard else Silent(WhyNot.BELOW_THRESHOLD)

    if until := None if heard else _explained_by(worth, rules, awaited, now):
        return Silent(WhyNot.WAITING_FOR_LOGS, until)
    return _judged(worth, told, now, rules)


def _judged(
    worth: tuple[Alert, ...], told: Told | None, now: datetime, rules: Rules
) -> Speak | Silent:
    heard = told.alerts if told else NEVER_TOLD
    if reason := _reason(worth, heard):
        return Speak(reason, worth)
    if told and now - told.at >= rules.repeat_interval:
        return Speak(Why.REMINDER, worth)
    improving = len(worth) < len(heard) or any(_better(a, heard[a.id]) for a in worth)
    return Silent(WhyNot.IMPROVING if improving else WhyNot.ALREADY_TOLD)


def _reason(worth: Sequence[Alert], heard: Mapping[str, Heard]) -> Why | None:
    if not heard:
        return Why.FIRST
    if any(_is_news(alert, heard) for alert in worth):
        return Why.NEW_ALERT

    again = [alert for alert in worth if alert.occasions > heard[alert.id].occasions]
    if any(alert.name is Name.HOSTS_FAILED for alert in again):
        return Why.MORE_HOSTS
    if again or any(_worse(alert, heard[alert.id]) for alert in worth):
        return Why.WORSE
    return None


def _explained_by(
    worth: Sequence[Alert], rules: Rules, awaited: Collection[int], now: datetime
) -> datetime | None:
    """Say how long to wait for logs: since the first hosts failed, not the last."""
    failed = [alert for alert in worth if alert.attempt is not None]
    if not any(a.attempt and a.attempt.step_instance_id in awaited for a in failed):
        return None
    since = min(alert.since for alert in failed)
    # A clock that was set back must not make anybody wait for hours.
    waiting = timedelta(0) <= now - since < rules.log_wait
    return since + rules.log_wait if waiting else None


def _counts(alert: Alert, rules: Rules) -> bool:
    if alert.name is not Name.HOSTS_FAILED:
        return True
    share = 100 * alert.failed / max(1, alert.total)
    return alert.failed >= rules.at_least and share >= rules.percent


def _is_news(alert: Alert, heard: Mapping[str, Heard]) -> bool:
    return alert.id not in heard or alert.since != heard[alert.id].since


def _worse(alert: Alert, heard: Heard) -> bool:
    return alert.severity is Severity.CRITICAL and heard.severity is Severity.WARNING


def _better(alert: Alert, heard: Heard) -> bool:
    return alert.failed < heard.failed


def hearing(alerts: Sequence[Alert], now: datetime) -> Told:
    """Remember what was said."""
    heard = {a.id: Heard(a.since, a.severity, a.occasions, a.failed) for a in alerts}
    return Told(at=now, alerts=heard)


def still_held(told: Told | None, holding: Sequence[Alert]) -> Told | None:
    """Forget what was said of alerts that ended while others hold.

    Should one of them come back, it is news again.
    """
    if told is None or not holding:
        return told
    ids = {alert.id for alert in holding}
    heard = {id_: heard for id_, heard in told.alerts.items() if id_ in ids}
    return Told(at=told.at, alerts=heard)


def severity(alerts: Sequence[Alert]) -> str:
    """Name the worst severity; empty when nothing holds."""
    severities = {alert.severity for alert in alerts}
    return next(
        (s for s in (Severity.CRITICAL, Severity.WARNING) if s in severities), ""
    )
