"""``get_job_instance_status`` as v3 and v4 answer it: alike but for their rows.

Nulls are sent by v3 and left out by v4. Neither tells who started the job nor
from which plan. Source: bk-job EsbJobInstanceStatusV3DTO.java and
V4JobInstanceStatusResp.java, read 2026-11.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct

from monitor import errors
from monitor.core import model
from monitor.core.model import HostId, InstanceKey, Snapshot
from monitor.job import envelope, lenient, targets
from monitor.job.targets import Int, Row

R = TypeVar("R", bound=Row)

Named = Callable[[Sequence[R]], Sequence[tuple[HostId, R]]]


class Step(Struct, Generic[R]):
    step_instance_id: Int
    status: Int
    execute_count: Int | None = None
    name: Any = None
    type: Any = None
    start_time: Any = None
    end_time: Any = None
    step_ip_result_list: list[R] | None = None
    step_execute_object_result_list: list[R] | None = None


class _Job(Struct):
    job_instance_id: Int
    status: Int
    name: Any = None
    create_time: Any = None
    start_time: Any = None
    end_time: Any = None


class Data(Struct, Generic[R]):
    job_instance: _Job
    step_instance_list: list[Step[R]] | None = None


def snapshot(
    raw: Raw,
    key: InstanceKey,
    decoder: "msgspec.json.Decoder[Data[R]]",
    named: Named[R],
    *,
    asked: bool,
) -> Snapshot:
    """Read what is said about *key*; *asked*: whether rows were asked for."""
    try:
        data = decoder.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not an answer about an instance: {error}") from None

    job = data.job_instance
    about(job.job_instance_id, key)
    return Snapshot(
        status=job.status,
        name=lenient.words(job.name),
        created_at=lenient.moment(job.create_time),
        started_at=lenient.moment(job.start_time),
        ended_at=lenient.moment(job.end_time),
        steps=tuple(
            _step(step, named, asked=asked) for step in data.step_instance_list or ()
        ),
    )


def about(number: int, key: InstanceKey) -> None:
    """Refuse an answer about another instance."""
    if number != key.job_instance_id:
        raise errors.Garbled(
            f"asked about {key.job_instance_id}, answered about {number}"
        )


class OfStep(Protocol):
    """Data about one step, which may say whose it is."""

    job_instance_id: Int | None
    step_instance_id: Int | None


def about_step(found: OfStep, key: InstanceKey, step_instance_id: int) -> None:
    """Refuse an answer about another step."""
    about(found.job_instance_id or key.job_instance_id, key)
    if found.step_instance_id not in (None, step_instance_id):
        raise errors.Garbled(
            f"asked about step {step_instance_id},"
            f" answered about step {found.step_instance_id}"
        )


def _step(step: Step[R], named: Named[R], *, asked: bool) -> model.Step:
    rows = step.step_ip_result_list or step.step_execute_object_result_list or ()
    hosts, outcomes = targets.gathered(named(rows))
    return model.Step(
        step_instance_id=step.step_instance_id,
        status=step.status,
        execute_count=step.execute_count or 0,
        name=lenient.words(step.name),
        type=lenient.number(step.type),
        started_at=lenient.moment(step.start_time),
        ended_at=lenient.moment(step.end_time),
        hosts=hosts,
        outcomes=outcomes,
        partial=not (asked or rows),
    )
