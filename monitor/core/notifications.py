"""Notifications: one message that names everything that holds for a group.

The shapes here are public (``docs/notification.schema.json``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from heapq import nsmallest
from typing import Final

import msgspec
from msgspec import Struct, structs

from monitor.core import (
    alerts,
    clusters,
    codes,
    conditions,
    message,
    routing,
    telling,
    wording,
)
from monitor.core.alerts import Alert
from monitor.core.clusters import Cluster, Tails
from monitor.core.message import Message
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.telling import Case
from monitor.core.wording import Frame, HostData, InstanceData, StepData

HOSTS_PER_ALERT: Final = 1000
MOST: Final = 256 * 1024
"""Bytes of the data of one notification."""

CASES: Final = 100
"""Alerts of one notification, and those that ended."""

# Logs go before hosts, hosts before alerts, and all bit by bit: (alerts, characters
# of each log, hosts of each alert).
_SIZES: Final = (
    *((CASES, log, HOSTS_PER_ALERT) for log in (4096, 1024, 256, 0)),
    *((CASES, 0, hosts) for hosts in (500, 250, 100, 30, 10, 3, 0)),
    *((alerts, 0, 0) for alerts in (30, 10, 3)),
)
_NO_TAILS: Final[Tails] = {}
_ORDER: Final = list(alerts.Name)


class ClusterData(Struct, kw_only=True, omit_defaults=True):
    """*status* is the one that most of them have; each of *hosts* has its own.

    *log* is the end of the log of the first of *hosts*; *log_cut* counts what was
    left out of it here, for the size of the message. *kinds*: so many small
    clusters are summed up in this one.
    """

    status: int
    status_name: str
    exit_code: int | None = None
    tag: str = ""
    count: int
    hosts: list[HostData]
    log: str = ""
    log_cut: int = 0
    kinds: int = 1


class AlertData(Struct, kw_only=True):
    """Hosts beyond the first 1,000, or fewer in a large message, are *omitted*."""

    name: str
    severity: str
    since: datetime
    instance: InstanceData | None
    labels: Mapping[str, str]
    step: StepData | None
    summary: str
    failed: int
    total: int
    hosts: list[HostData]
    omitted: int
    clusters: list[ClusterData]
    link: str | None


class EndedData(Struct, kw_only=True):
    """An alert that was told and holds no more, or now has another severity."""

    name: str
    severity: str
    since: datetime
    instance: InstanceData | None
    labels: Mapping[str, str]
    step: StepData | None


class NotificationData(Struct, kw_only=True):
    """*omitted*: so many alerts hold beside those that are listed."""

    status: str
    reason: str
    severity: str
    group: str
    instance: InstanceData | None
    labels: Mapping[str, str]
    link: str | None
    summary: str
    last_sequence: int
    alerts: list[AlertData]
    omitted: int
    ended: list[EndedData]


class View(Struct, frozen=True, kw_only=True):
    """Who a member of a group is, and what is known of it as far as it is shown."""

    frame: Frame
    snapshot: Snapshot | None = None
    tails: Tails = _NO_TAILS


def shown(cases: Iterable[Case]) -> list[Case]:
    """List the cases that one message shows, the worst first."""
    return nsmallest(CASES, cases, key=rank)


def build(
    frame: Frame,
    views: Callable[[str], View],
    speak: telling.Speak,
    *,
    number: int,
    last_sequence: int,
    now: datetime,
) -> Message:
    """Put a decision to speak into words; its id is ``<group>!<number>``.

    *frame* is that of the group, *views* gives those of its members by key. A
    resolved message keeps no severity, so that sinks that match on severity are
    asked about what they were told (the notifier sees to that).
    """
    worst_first, own = shown(speak.cases), views(frame.key)
    severity = telling.severity(case.alert for case in speak.cases)
    data = NotificationData(
        status="firing" if worst_first else "resolved",
        reason=speak.reason,
        severity=severity,
        group=frame.key,
        instance=wording.instance_data(frame, own.snapshot),
        labels=frame.labels,
        link=wording.link(frame, own.snapshot, None),
        summary=_summary(frame, own.snapshot, worst_first, speak),
        last_sequence=last_sequence,
        alerts=[_alert(views(case.key), case.alert) for case in worst_first],
        omitted=len(speak.cases) - len(worst_first),
        ended=[
            _ended(views(telling.key_of(frame.key, each.id)), each)
            for each in speak.ended[:CASES]
        ],
    )
    return Message(
        id=f"{frame.key}!{number}",
        key=frame.key,
        type=message.NOTIFICATION,
        source=frame.source,
        subject=frame.subject,
        time=now,
        data=_fitting(data),
        traits=wording.traits(frame, message.NOTIFICATION, severity),
    )


def _fitting(data: NotificationData) -> bytes:
    """Encode *data*, shortened until it fits, and saying what was left out."""
    encoded = b""
    for most, log, hosts in _SIZES:
        shorter = structs.replace(
            data,
            alerts=[_shortened(alert, log, hosts) for alert in data.alerts[:most]],
            omitted=data.omitted + max(0, len(data.alerts) - most),
            ended=data.ended[:most],
        )
        encoded = msgspec.json.encode(shorter)
        if len(encoded) <= MOST:
            break
    return encoded


def _shortened(alert: AlertData, log: int, hosts: int) -> AlertData:
    return structs.replace(
        alert,
        hosts=alert.hosts[:hosts],
        omitted=max(0, len(alert.hosts) - hosts),
        clusters=[_with_log(cluster, log) for cluster in alert.clusters],
    )


def _with_log(cluster: ClusterData, most: int) -> ClusterData:
    cut = len(cluster.log) - most
    if cut <= 0:
        return cluster
    return structs.replace(cluster, log=cluster.log[cut:], log_cut=cut)


def rank(case: Case) -> tuple[bool, int, int, str]:
    # Failed hosts first among equals: they are what the reader came for.
    alert = case.alert
    return (
        alert.severity != "critical",
        _ORDER.index(alert.name),
        -alert.failed,
        case.id,
    )


def _summary(
    frame: Frame,
    snapshot: Snapshot | None,
    worst_first: Sequence[Case],
    speak: telling.Speak,
) -> str:
    said = _said([case.alert for case in worst_first], frame, snapshot, speak)
    name = f" ({snapshot.name})" if snapshot and snapshot.name else ""
    return f"{frame.key}{name}: {said}"


def _said(
    worst: Sequence[Alert],
    frame: Frame,
    snapshot: Snapshot | None,
    speak: telling.Speak,
) -> str:
    locale = frame.locale
    if not routing.is_several(frame.key):
        if not worst:
            return wording.recovered(snapshot.status if snapshot else None, locale)
        return wording.summaries(worst, locale)
    if not worst:
        return wording.ended(len(speak.ended), locale)
    failed = sum(case.alert.failed for case in speak.cases)
    said = wording.several(worst, failed, len(speak.cases), locale)
    if not speak.ended:
        return said
    return wording.ended(len(speak.ended), locale, beside=said)


def _alert(view: View, alert: Alert) -> AlertData:
    frame, snapshot = view.frame, view.snapshot
    step = _step(snapshot, alert)
    is_about_failures = alert.name is alerts.Name.HOSTS_FAILED
    failures = step.failures if step and is_about_failures else {}
    known = view.tails.get(step.step_instance_id, {}) if step else {}
    return AlertData(
        name=alert.name,
        severity=alert.severity,
        since=alert.since,
        instance=wording.instance_data(frame, snapshot),
        labels=frame.labels,
        step=wording.step_data(alert.attempt),
        summary=wording.summary(alert, frame.locale),
        failed=alert.failed,
        total=alert.total,
        hosts=_hosts(snapshot, step, alert, frame.locale),
        omitted=0,
        clusters=[
            cluster_data(cluster, failures, frame.locale)
            for cluster in clusters.gathered(failures, known)
        ],
        link=wording.link(frame, snapshot, alert.attempt),
    )


def _hosts(
    snapshot: Snapshot | None, step: Step | None, alert: Alert, locale: str
) -> list[HostData]:
    """List the hosts that the alert is about.

    While a retry runs, its hosts are not those that were left behind before.
    """
    if snapshot is None or step is None:
        return []
    if alert.name is alerts.Name.HOSTS_FAILED:
        return wording.failed_list(step.failures, locale)
    if alert.name is alerts.Name.HOSTS_UNFINISHED and snapshot.finished:
        left = conditions.left_unfinished(step)
        return wording.host_list({host: step.hosts[host] for host in left}, {}, locale)
    return []


def _ended(view: View, ended: telling.Ended) -> EndedData:
    heard = ended.heard
    return EndedData(
        name=telling.name_of(ended.id),
        severity=heard.severity,
        since=heard.since,
        instance=wording.instance_data(view.frame, view.snapshot),
        labels=view.frame.labels,
        step=wording.step_data(heard.attempt),
    )


def _step(snapshot: Snapshot | None, alert: Alert) -> Step | None:
    if snapshot is None or alert.attempt is None:
        return None
    wanted = alert.attempt.step_instance_id
    steps = (step for step in snapshot.steps if step.step_instance_id == wanted)
    return next(steps, None)


def cluster_data(
    cluster: Cluster, failures: Mapping[HostId, Failure], locale: str
) -> ClusterData:
    return ClusterData(
        status=cluster.status,
        status_name=codes.host(cluster.status).name(locale),
        exit_code=cluster.exit_code,
        tag=cluster.tag,
        count=cluster.count,
        hosts=[
            host
            for example in cluster.examples
            for host in wording.failed_list({example: failures[example]}, locale)
        ],
        log=cluster.log,
        kinds=cluster.kinds,
    )
