"""``get_job_instance_status`` of the v2 API: the request and the decoder.

No sockets here. Both spellings are read, that of the API document and that of
the servers since 3.3. Whether a job is finished is not read at all: the status
tells it, the server's ``is_finished`` was wrong up to 3.4.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from monitor import errors
from monitor.core import model
from monitor.core.model import HostId, InstanceKey, Snapshot
from monitor.job import envelope, text

PATH: Final = "/api/c/compapi/v2/job/get_job_instance_status/"

NAME: Final = 256

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class _Row(Struct, gc=False):
    status: Int
    ip: Annotated[str, Meta(max_length=128)] | None = None
    bk_cloud_id: Int | None = None


class _Step(Struct):
    # Source: bk-job EsbJobInstanceStatusDTO.java, read 2026-11: the document says
    # retry_count, every open-source server since 3.3 sends execute_count.
    step_instance_id: Int
    status: Int
    execute_count: Int | None = None
    retry_count: Int | None = None
    name: Any = None
    type: Any = None
    start_time: Any = None
    end_time: Any = None
    step_ip_status: list[_Row] | None = None


class _Block(Struct):
    step_instances: list[_Step] | None = None


class _Job(Struct):
    job_instance_id: Int
    status: Int
    name: Any = None
    operator: Any = None
    bk_job_id: Any = None
    create_time: Any = None
    start_time: Any = None
    end_time: Any = None


class _Data(Struct):
    job_instance: _Job
    blocks: list[_Block] | None = None


# Not strict: old servers send numbers as strings.
_DATA: Final = msgspec.json.Decoder(_Data, strict=False)


def body(key: InstanceKey, credentials: Mapping[str, str]) -> bytes:
    """Build the body of a POST; *credentials* is empty where a header has them."""
    return msgspec.json.encode(
        {**credentials, **_scope(key), "job_instance_id": key.job_instance_id}
    )


def _scope(key: InstanceKey) -> dict[str, str | int]:
    # bk_scope_* is accepted since 3.5 only; bk_biz_id everywhere.
    # Source: bk-job EsbAppScopeReq.java, read 2026-11.
    if key.scope_type == "biz":
        return {"bk_biz_id": int(key.scope_id)}

    return {"bk_scope_type": key.scope_type, "bk_scope_id": key.scope_id}


def decipher(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    key: InstanceKey,
    *,
    timezone: tzinfo,
) -> Snapshot:
    """Read an answer about *key*, or raise the ``SourceError`` that it amounts to.

    Times without an offset are in *timezone*.
    """
    raw = envelope.unwrap(status, headers, body)
    try:
        data = _DATA.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not a v2 answer: {error}") from None

    if data.job_instance.job_instance_id != key.job_instance_id:
        raise errors.Garbled(
            f"asked about {key.job_instance_id},"
            f" answered about {data.job_instance.job_instance_id}"
        )

    return _snapshot(data, timezone)


def _snapshot(data: _Data, timezone: tzinfo) -> Snapshot:
    job = data.job_instance
    return Snapshot(
        status=job.status,
        name=_words(job.name),
        operator=_words(job.operator),
        plan_id=_plan(job.bk_job_id),
        created_at=_moment(job.create_time, timezone),
        started_at=_moment(job.start_time, timezone),
        ended_at=_moment(job.end_time, timezone),
        steps=tuple(
            _step(step, timezone)
            for block in data.blocks or ()
            for step in block.step_instances or ()
        ),
    )


def _step(step: _Step, timezone: tzinfo) -> model.Step:
    return model.Step(
        step_instance_id=step.step_instance_id,
        status=step.status,
        execute_count=_attempt(step),
        name=_words(step.name),
        type=_number(step.type),
        started_at=_moment(step.start_time, timezone),
        ended_at=_moment(step.end_time, timezone),
        hosts=_hosts(step.step_ip_status or []),
    )


def _attempt(step: _Step) -> int:
    count = step.retry_count if step.execute_count is None else step.execute_count
    return count or 0


def _hosts(rows: list[_Row]) -> dict[HostId, int]:
    hosts = model.rows(
        (model.host_id(row.ip, row.bk_cloud_id or 0), row.status) for row in rows
    )
    if not "".join(hosts).isprintable():
        raise errors.Garbled("an ip with characters that no ip has")

    return hosts


# What only decorates an answer never makes it unusable, whatever its type.


def _words(value: object) -> str:
    return text.plain(str(value), NAME) if isinstance(value, str | int) else ""


def _number(value: object) -> int | None:
    try:
        return int(value) if isinstance(value, str | int) else None
    except ValueError:
        return None


def _plan(value: object) -> int | None:
    # -1 where the job was started without a plan.
    number = _number(value)
    return None if number == -1 else number


def _moment(value: object, timezone: tzinfo) -> datetime | None:
    # "2018-03-15 12:56:35 +0800" in the document, no offset since 3.3.
    # Source: bk-job LongTimestampSerializer.java, read 2026-11.
    if not isinstance(value, str):
        return None

    try:
        moment = datetime.fromisoformat(value.replace(" +", "+").replace(" -", "-"))
        aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
