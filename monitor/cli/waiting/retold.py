"""What the daemon says of an instance and of its events, as JOB would have said it."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import Struct

from monitor.core import codes, model
from monitor.core.ending import Counts
from monitor.core.events import EventData
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.transitions import Attempt, Kind, Transition
from monitor.core.wording import HostData
from monitor.web.shapes.instances import (
    HostStateData,
    InstanceStateData,
    StepStateData,
)

Hosts = Mapping[int, Iterable[HostStateData]]


class Event(Struct):
    """What is looked at of a CloudEvent."""

    type: str
    partitionkey: str
    data: EventData


def event(told: bytes) -> Event:
    return msgspec.json.decode(told, type=Event)


def transition(of: Event) -> Transition | None:
    """Give the change that an event tells; None if it tells of something else."""
    if of.type not in set(Kind):
        return None
    data = of.data
    return Transition(
        kind=Kind(of.type),
        before=data.before.status if data.before else None,
        after=data.after.status if data.after else None,
        attempt=_attempt(data),
        hosts={_host_id(host): host.status for host in data.hosts},
    )


def _attempt(data: EventData) -> Attempt | None:
    if data.step is None:
        return None
    step = data.step
    return Attempt(step.step_instance_id, step.execute_count, step.name)


def snapshot(said: InstanceStateData, failed: Hosts) -> Snapshot:
    """Give what is known of an instance; of its hosts those that *failed*, by step."""
    return Snapshot(
        status=said.status or 0,
        name=said.name,
        operator=said.operator,
        plan_id=said.plan_id,
        created_at=said.created_at,
        started_at=said.started_at,
        ended_at=said.ended_at,
        steps=tuple(
            _step(step, failed.get(step.step_instance_id, ())) for step in said.steps
        ),
    )


def counts(said: InstanceStateData) -> Counts:
    return Counts(
        hosts=said.distinct.hosts,
        unfinished=said.distinct.unfinished,
        rows={step.step_instance_id: step.hosts for step in said.steps},
        done=sum(
            each.hosts
            for step in said.steps
            for each in step.counts
            if codes.host(each.status).finished
        ),
    )


def _step(step: StepStateData, failed: Iterable[HostStateData]) -> Step:
    known = {_host_id(host): host for host in failed}
    return Step(
        step_instance_id=step.step_instance_id,
        status=step.status,
        execute_count=step.execute_count,
        name=step.name,
        type=step.type,
        started_at=step.started_at,
        ended_at=step.ended_at,
        hosts={id_: host.status for id_, host in known.items()},
        failures={
            id_: _failure(host, host.failed_in)
            for id_, host in known.items()
            if host.failed_in is not None
        },
        partial=True,
    )


def _failure(host: HostStateData, attempt: int) -> Failure:
    status = host.status if host.failed_status is None else host.failed_status
    return Failure(status, attempt, host.exit_code, host.tag)


def _host_id(host: HostData) -> HostId:
    if host.container_id is not None:
        return model.container_id(0, host.container_id, host.name or "")
    return model.host_id(host.ip, host.bk_cloud_id or 0, host.bk_host_id)
