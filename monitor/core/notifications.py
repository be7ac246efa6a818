"""Notifications: one message that names everything that holds for a group.

The shapes here are public (``docs/notification.schema.json``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct, structs

from monitor.core import alerts, clusters, codes, message, telling, wording
from monitor.core.alerts import Alert
from monitor.core.clusters import Cluster, Tails
from monitor.core.message import Message
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.wording import Frame, HostData, InstanceData, StepData

HOSTS_PER_ALERT: Final = 1000
MOST: Final = 256 * 1024
"""Bytes of the data of one notification."""

# Logs go before hosts, and both bit by bit: (characters of each, hosts of each alert).
_SIZES: Final = (
    *((log, HOSTS_PER_ALERT) for log in (4096, 1024, 256, 0)),
    *((0, hosts) for hosts in (500, 250, 100, 30, 10, 3, 0)),
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
    tails: Tails = _NO_TAILS,
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
        alerts=[_alert(frame, snapshot, alert, tails) for alert in worst_first],
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
    for log, hosts in _SIZES:
        shorter = [_shortened(alert, log, hosts) for alert in data.alerts]
        encoded = msgspec.json.encode(structs.replace(data, alerts=shorter))
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


def _alert(
    frame: Frame, snapshot: Snapshot | None, alert: Alert, tails: Tails
) -> AlertData:
    step = _step(snapshot, alert)
    failures = step.failures if step else {}
    known = tails.get(step.step_instance_id, {}) if step else {}
    return AlertData(
        name=alert.name,
        severity=alert.severity,
        since=alert.since,
        step=wording.step_data(alert.attempt),
        summary=wording.summary(alert, frame.locale),
        failed=alert.failed,
        total=alert.total,
        hosts=wording.failed_list(failures, frame.locale),
        omitted=0,
        clusters=[
            _cluster(cluster, failures, frame.locale)
            for cluster in clusters.gathered(failures, known)
        ],
        link=wording.link(frame, snapshot, alert.attempt),
    )


def _step(snapshot: Snapshot | None, alert: Alert) -> Step | None:
    if snapshot is None or alert.attempt is None:
        return None
    wanted = alert.attempt.step_instance_id
    steps = (step for step in snapshot.steps if step.step_instance_id == wanted)
    return next(steps, None)


def _cluster(
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
