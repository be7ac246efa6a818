"""Events: transitions and alert changes that are recorded.

An event's id is its subject's key and a sequence number; the numbers of one
subject have no holes. The shapes here are public (``docs/events.schema.json``).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from msgspec import Struct, structs

from monitor.core import alerts, codes, reach, transitions, wording
from monitor.core.message import Message
from monitor.core.model import Snapshot, Step
from monitor.core.transitions import Attempt, Transition
from monitor.core.wording import Frame, HostData, InstanceData, StatusData, StepData

HOSTS_PER_EVENT: Final = 1000


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


class Unnumbered(Struct, frozen=True):
    """An event that has yet to be numbered; *severity* is that of an alert."""

    type: str
    data: EventData
    severity: str = ""


def of_transitions(
    frame: Frame, snapshot: Snapshot | None, changes: Sequence[Transition]
) -> Iterator[Unnumbered]:
    steps = {step.step_instance_id: step for step in snapshot.steps} if snapshot else {}
    for change in changes:
        step = steps[change.attempt.step_instance_id] if change.attempt else None
        for data in _datas(frame, snapshot, change, step):
            yield Unnumbered(change.kind, data)


def of_alerts(
    frame: Frame, snapshot: Snapshot | None, changes: Iterable[alerts.Change]
) -> Iterator[Unnumbered]:
    for change in changes:
        data = _about(frame, snapshot, change.alert.attempt)
        data.alert = _alert_data(change, frame.locale)
        yield Unnumbered(change.kind, data, change.alert.severity)


def of_reach(
    frame: Frame, kind: reach.Kind, cause: reach.Cause | None, severity: str
) -> Iterator[Unnumbered]:
    data = EventData(labels=frame.labels, cause=cause)
    yield Unnumbered(kind, data, severity if kind is reach.Kind.LOST else "")


def recorded(
    frame: Frame,
    happened: Iterable[Unnumbered],
    *,
    after: int,
    now: datetime,
) -> tuple[Message, ...]:
    """Number what happened; *after* is the last sequence given away before."""
    return tuple(
        Message(
            id=f"{frame.key}#{sequence}",
            key=frame.key,
            type=str(event.type),
            source=frame.source,
            subject=frame.subject,
            time=now,
            sequence=sequence,
            data=msgspec.json.encode(event.data),
            traits=wording.traits(frame, event.type, event.severity),
        )
        for sequence, event in enumerate(happened, start=after + 1)
    )


def _datas(
    frame: Frame, snapshot: Snapshot | None, change: Transition, step: Step | None
) -> Iterator[EventData]:
    data = _about(frame, snapshot, change.attempt)
    data.before = wording.status_data(change.before, frame.locale)
    data.after = wording.status_data(change.after, frame.locale)
    if step is None or not change.hosts:
        yield data
        return

    data.failed, data.total = len(step.failures), len(step.hosts)
    if change.kind is transitions.Kind.HOSTS_CHANGED:
        data.counts = _counts(step, frame.locale)
        yield data
        return

    listed = wording.host_list(change.hosts, step.failures, frame.locale)
    yield from _in_parts(data, listed)


def _in_parts(data: EventData, hosts: Sequence[HostData]) -> Iterator[EventData]:
    parts = -(-len(hosts) // HOSTS_PER_EVENT)
    for part in range(parts):
        start = part * HOSTS_PER_EVENT
        yield structs.replace(
            data,
            hosts=[*hosts[start : start + HOSTS_PER_EVENT]],
            part=part + 1 if parts > 1 else None,
            parts=parts if parts > 1 else None,
        )


def _about(
    frame: Frame, snapshot: Snapshot | None, attempt: Attempt | None
) -> EventData:
    return EventData(
        instance=wording.instance_data(frame, snapshot),
        labels=frame.labels,
        link=wording.link(frame, snapshot, attempt),
        step=wording.step_data(attempt),
        started_at=snapshot.started_at if snapshot else None,
        ended_at=snapshot.ended_at if snapshot and snapshot.finished else None,
    )


def _alert_data(change: alerts.Change, locale: str) -> AlertData:
    alert = change.alert
    return AlertData(
        name=alert.name,
        severity=alert.severity,
        since=alert.since,
        step=wording.step_data(alert.attempt),
        summary=wording.summary(alert, locale),
        failed=alert.failed,
        total=alert.total,
        reason=change.reason or alert.reason,
    )


def _counts(step: Step, locale: str) -> list[CountData]:
    return [
        CountData(status, codes.host(status).name(locale), count)
        for status, count in step.counts().items()
    ]
