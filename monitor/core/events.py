"""Events: transitions and alert changes that are recorded.

An event's id is its subject's key and a sequence number; the numbers of one
subject have no holes. The shapes here are public (``docs/events.schema.json``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Final

import msgspec
from msgspec import Struct, structs

from monitor.core import alerts, codes, model, reach, transitions
from monitor.core.alerts import Alert
from monitor.core.message import Message
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.core.transitions import Attempt, Transition

HOSTS_PER_EVENT: Final = 1000


class Frame(Struct, frozen=True, kw_only=True):
    """What every event of one subject shares.

    The subject is an instance (*instance* is given), a scope (*subject* alone) or
    a source (neither).
    """

    source: str
    key: str
    subject: str | None = None
    instance: InstanceKey | None = None
    labels: Mapping[str, str] = {}
    web_url: str | None = None
    locale: str = "en"


class InstanceData(Struct, kw_only=True):
    source: str
    bk_scope_type: str
    bk_scope_id: str
    job_instance_id: int
    name: str


class StatusData(Struct):
    status: int
    status_name: str


class StepData(Struct):
    step_instance_id: int
    execute_count: int
    name: str


class HostData(Struct):
    ip: str | None
    bk_cloud_id: int
    status: int
    status_name: str


class CountData(Struct):
    status: int
    status_name: str
    count: int


class AlertData(Struct, kw_only=True, omit_defaults=True):
    name: str
    severity: str
    since: datetime
    step: StepData | None = None
    summary: str
    failed: int = 0
    total: int = 0
    reason: str = ""


class EventData(Struct, kw_only=True, omit_defaults=True):
    instance: InstanceData | None = None
    labels: Mapping[str, str] = {}
    link: str | None = None
    before: StatusData | None = None
    after: StatusData | None = None
    step: StepData | None = None
    hosts: list[HostData] = []
    counts: list[CountData] = []
    failed: int | None = None
    total: int | None = None
    part: int | None = None
    parts: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    alert: AlertData | None = None
    cause: str | None = None


def of_transitions(
    frame: Frame, snapshot: Snapshot | None, changes: Sequence[Transition]
) -> Iterator[tuple[str, str, EventData]]:
    """Give (type, severity, data) of each event, in order."""
    steps = {step.step_instance_id: step for step in snapshot.steps} if snapshot else {}
    for change in changes:
        step = steps[change.attempt.step_instance_id] if change.attempt else None
        for data in _datas(frame, snapshot, change, step):
            yield change.kind, "", data


def of_alerts(
    frame: Frame, snapshot: Snapshot | None, changes: Iterable[alerts.Change]
) -> Iterator[tuple[str, str, EventData]]:
    for change in changes:
        data = _about(frame, snapshot, change.alert.attempt)
        data.alert = alert_data(change.alert, frame.locale)
        data.alert.reason = change.reason or change.alert.reason
        yield change.kind, change.alert.severity, data


def of_reach(
    frame: Frame, kind: reach.Kind, cause: reach.Cause | None
) -> Iterator[tuple[str, str, EventData]]:
    data = EventData(labels=frame.labels, cause=cause)
    yield kind, "critical" if kind is reach.Kind.LOST else "", data


def recorded(
    frame: Frame,
    datas: Iterable[tuple[str, str, EventData]],
    *,
    after: int,
    now: datetime,
) -> tuple[Message, ...]:
    """Number what happened; *after* is the last sequence given away before."""
    return tuple(
        Message(
            id=f"{frame.key}#{sequence}",
            key=frame.key,
            type=str(type_),
            source=frame.source,
            subject=frame.subject,
            time=now,
            sequence=sequence,
            data=msgspec.json.encode(data),
            traits=traits(frame, type_, severity),
        )
        for sequence, (type_, severity, data) in enumerate(datas, start=after + 1)
    )


def traits(frame: Frame, type_: str, severity: str) -> dict[str, str]:
    """Say what matchers see of a message; our own names win over labels."""
    own = {"type": str(type_), "source": frame.source}
    return {**frame.labels, **own, **({"severity": severity} if severity else {})}


def _datas(
    frame: Frame, snapshot: Snapshot | None, change: Transition, step: Step | None
) -> Iterator[EventData]:
    data = _about(frame, snapshot, change.attempt)
    data.before = _status(change.before, frame.locale)
    data.after = _status(change.after, frame.locale)
    if step is None or not change.hosts:
        yield data
        return

    data.failed, data.total = len(step.failures), len(step.hosts)
    if change.kind is transitions.Kind.HOSTS_CHANGED:
        data.counts = counts(step, frame.locale)
        yield data
        return

    hosts = host_list(change.hosts, frame.locale)
    parts = -(-len(hosts) // HOSTS_PER_EVENT)
    for part in range(parts):
        start = part * HOSTS_PER_EVENT
        yield structs.replace(
            data,
            hosts=hosts[start : start + HOSTS_PER_EVENT],
            part=part + 1 if parts > 1 else None,
            parts=parts if parts > 1 else None,
        )


def _about(
    frame: Frame, snapshot: Snapshot | None, attempt: Attempt | None
) -> EventData:
    return EventData(
        instance=instance_data(frame, snapshot),
        labels=frame.labels,
        link=link(frame, snapshot, attempt),
        step=step_data(attempt),
        started_at=snapshot.started_at if snapshot else None,
        ended_at=snapshot.ended_at if snapshot and snapshot.finished else None,
    )


def instance_data(frame: Frame, snapshot: Snapshot | None) -> InstanceData | None:
    key = frame.instance
    if key is None:
        return None
    return InstanceData(
        source=key.source,
        bk_scope_type=key.scope_type,
        bk_scope_id=key.scope_id,
        job_instance_id=key.job_instance_id,
        name=snapshot.name if snapshot else "",
    )


def step_data(attempt: Attempt | None) -> StepData | None:
    if attempt is None:
        return None
    return StepData(attempt.step_instance_id, attempt.execute_count, attempt.name)


def alert_data(alert: Alert, locale: str) -> AlertData:
    return AlertData(
        name=alert.name,
        severity=alert.severity,
        since=alert.since,
        step=step_data(alert.attempt),
        summary=summary(alert, locale),
        failed=alert.failed,
        total=alert.total,
    )


def summary(alert: Alert, locale: str) -> str:
    """Say in a few words what is wrong."""
    match alert.name:
        case alerts.Name.HOSTS_FAILED:
            step = alert.attempt.name if alert.attempt else ""
            return f"{alert.failed} of {alert.total} hosts failed in step {step!r}"
        case alerts.Name.JOB_FAILED:
            return f"job ended: {codes.run(alert.status or 0).name(locale)}"
        case alerts.Name.JOB_GONE:
            return "JOB no longer knows this instance"
        case alerts.Name.JOB_REFUSED:
            return f"JOB does not let us look: {alert.reason}"
        case alerts.Name.SOURCE_LOST:
            return f"JOB cannot be seen ({alert.reason}); nothing is known of its jobs"


def counts(step: Step, locale: str) -> list[CountData]:
    return [
        CountData(status, codes.host(status).name(locale), count)
        for status, count in step.counts().items()
    ]


def host_list(hosts: Mapping[HostId, int], locale: str) -> list[HostData]:
    """List hosts by cloud area and address, so that the order says nothing."""
    listed = []
    for host in sorted(hosts, key=_by_address):
        cloud, ip = model.address(host)
        status = hosts[host]
        listed.append(HostData(ip, cloud, status, codes.host(status).name(locale)))
    return listed


def _by_address(host: HostId) -> tuple[int, int, int, str]:
    cloud, ip = model.address(host)
    try:
        address = ip_address(ip or "")
    except ValueError:
        return cloud, 0, 0, ip or ""
    return cloud, address.version, int(address), ""


def _status(number: int | None, locale: str) -> StatusData | None:
    if number is None:
        return None
    return StatusData(number, codes.run(number).name(locale))


def link(
    frame: Frame, snapshot: Snapshot | None, attempt: Attempt | None
) -> str | None:
    """Point a person at the instance in JOB, or at the step and attempt.

    Source: the routes of bk-job src/frontend/src/main.js, read 2026-11; a job
    that was not started from a plan has no step page of its own.
    """
    if frame.web_url is None or frame.instance is None:
        return None

    root, job = frame.web_url.rstrip("/"), frame.instance.job_instance_id
    if attempt is None:
        return f"{root}/api_execute/{job}"

    step, retry = attempt.step_instance_id, attempt.execute_count
    if snapshot is not None and snapshot.plan_id is not None:
        return f"{root}/api_execute_step/{job}/{step}?retryCount={retry}"
    return f"{root}/api_execute/{job}?stepInstanceId={step}&retryCount={retry}"
