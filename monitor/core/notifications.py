"""Notifications: one message that names everything that holds for a group.

The shapes here are public (``docs/notification.schema.json``).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct

from monitor.core import alerts, codes, message, telling, wording
from monitor.core.alerts import Alert
from monitor.core.message import Message
from monitor.core.model import Failure, HostId, Snapshot
from monitor.core.wording import Frame, HostData, InstanceData, StepData

HOSTS_PER_ALERT: Final = 1000
_EXAMPLES: Final = 3
_STOPPED: Final = min(codes.FORCE_STOPPED)
_ORDER: Final = list(alerts.Name)


class ClusterData(Struct, kw_only=True):
    """*status* is the one that most of them have; each of *hosts* has its own."""

    status: int
    status_name: str
    count: int
    hosts: list[HostData]


class AlertData(Struct, kw_only=True):
    """Hosts beyond the first 1,000 are counted in *omitted*."""

    name: str
    severity: str
    since: datetime
    step: StepData | None
    summary: str
    failed: int
    total: int
    hosts: list[HostData]
    omitted: int
    clusters: list[ClusterData]
    link: str | None


class NotificationData(Struct, kw_only=True):
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


def build(
    frame: Frame,
    snapshot: Snapshot | None,
    decision: telling.Speak,
    *,
    number: int,
    last_sequence: int,
    now: datetime,
) -> Message:
    """Put a decision to speak into words; its id is ``<group>!<number>``.

    A resolved message keeps no severity, so that sinks that match on severity are
    asked about what they were told (the notifier sees to that).
    """
    worst_first = sorted(decision.alerts, key=_rank)
    severity = telling.severity(worst_first)
    data = NotificationData(
        status="firing" if worst_first else "resolved",
        reason=decision.reason,
        severity=severity,
        group=frame.key,
        instance=wording.instance_data(frame, snapshot),
        labels=frame.labels,
        link=wording.link(frame, snapshot, None),
        summary=_summary(frame, snapshot, worst_first),
        last_sequence=last_sequence,
        alerts=[_alert(frame, snapshot, alert) for alert in worst_first],
    )
    return Message(
        id=f"{frame.key}!{number}",
        key=frame.key,
        type=message.NOTIFICATION,
        source=frame.source,
        subject=frame.subject,
        time=now,
        data=msgspec.json.encode(data),
        traits=wording.traits(frame, message.NOTIFICATION, severity),
    )


def _rank(alert: Alert) -> tuple[bool, int, str]:
    # Failed hosts first among equals: they are what the reader came for.
    return alert.severity != "critical", _ORDER.index(alert.name), alert.id


def _summary(
    frame: Frame, snapshot: Snapshot | None, worst_first: Sequence[Alert]
) -> str:
    name = f" ({snapshot.name})" if snapshot and snapshot.name else ""
    if worst_first:
        said = "; ".join(wording.summary(alert, frame.locale) for alert in worst_first)
    elif snapshot:
        said = f"recovered: {codes.run(snapshot.status).name(frame.locale)}"
    else:
        said = "recovered"
    return f"{frame.key}{name}: {said}"


def _alert(frame: Frame, snapshot: Snapshot | None, alert: Alert) -> AlertData:
    failed = _failed(snapshot, alert)
    hosts = wording.failed_list(failed, frame.locale)
    return AlertData(
        name=alert.name,
        severity=alert.severity,
        since=alert.since,
        step=wording.step_data(alert.attempt),
        summary=wording.summary(alert, frame.locale),
        failed=alert.failed,
        total=alert.total,
        hosts=hosts[:HOSTS_PER_ALERT],
        omitted=max(0, len(hosts) - HOSTS_PER_ALERT),
        clusters=_clusters(hosts),
        link=wording.link(frame, snapshot, alert.attempt),
    )


def _failed(snapshot: Snapshot | None, alert: Alert) -> Mapping[HostId, Failure]:
    if snapshot is None or alert.attempt is None:
        return {}
    wanted = alert.attempt.step_instance_id
    steps = [step for step in snapshot.steps if step.step_instance_id == wanted]
    return {host: failure for step in steps for host, failure in step.failures.items()}


def _clusters(hosts: Sequence[HostData]) -> list[ClusterData]:
    """Gather hosts that failed alike, the largest cluster first.

    Whom a stop of the job hit is one cluster, whatever came of the stop there.
    """
    alike: dict[int, list[HostData]] = {}
    for host in hosts:
        stopped = host.status in codes.FORCE_STOPPED
        alike.setdefault(_STOPPED if stopped else host.status, []).append(host)
    return [_cluster(some) for some in sorted(alike.values(), key=len, reverse=True)]


def _cluster(alike: Sequence[HostData]) -> ClusterData:
    names = Counter((host.status, host.status_name) for host in alike)
    (status, name), _ = names.most_common(1)[0]
    return ClusterData(
        status=status, status_name=name, count=len(alike), hosts=[*alike[:_EXAMPLES]]
    )
