"""The v2 API of the ESB: what is asked, what is said.

Both spellings are read, that of the API document and that of
the servers since 3.3. Whether a job is finished is not read at all: the status
tells it, the server's ``is_finished`` was wrong up to 3.4.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from monitor import errors
from monitor.core import codes, model
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Snapshot
from monitor.job import ask, envelope, instance, lenient, logs, targets
from monitor.job.ask import Ask, Field
from monitor.job.targets import Int, Ip
from monitor.ports import Means


class _Row(Struct, gc=False):
    status: Int
    ip: Ip | None = None
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


class _Log(Struct):
    ip: Ip | None = None
    bk_cloud_id: Int | None = None
    log_content: Any = None


class _Logs(Struct):
    ip_status: Any = None
    ip_logs: list[_Log] | None = None


class _LoggedStep(Struct):
    step_instance_id: Int
    step_results: list[_Logs] | None = None


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
_LOGS: Final = msgspec.json.Decoder(list[_LoggedStep], strict=False)


class V2(Struct, frozen=True):
    """*timezone* is that of times without an offset."""

    timezone: tzinfo

    @property
    def means(self) -> Means:
        return Means()

    def look(self, key: InstanceKey, *, hosts: bool) -> Ask[Snapshot]:
        # Hosts cannot be left out.
        return Ask(
            "status",
            "get_job_instance_status",
            _fields(key),
            lambda data: _status(data, key, self.timezone),
        )

    def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Sequence[Ask[Mapping[HostId, str]]]:
        wanted = logs.Wanted(hosts)
        question = Ask(
            "logs",
            "get_job_instance_log",
            _fields(key),
            lambda data: _tails(data, step_instance_id, wanted),
            most=logs.MOST,
        )
        return [question] if wanted.places else []

    def groups(self, key: InstanceKey, step: model.Step, most: int) -> Ask[model.Step]:
        raise errors.Garbled("v2 does not group hosts: look at the instance instead")

    def page(self, query: Query, source: str) -> Ask[Page]:
        raise errors.Garbled("v2 has no list: look at each instance instead")


def _status(raw: Raw, key: InstanceKey, timezone: tzinfo) -> Snapshot:
    try:
        data = _DATA.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not a v2 answer: {error}") from None

    instance.about(data.job_instance.job_instance_id, key)
    return _snapshot(data, timezone)


def _fields(key: InstanceKey) -> dict[str, Field]:
    # bk_scope_* is accepted since 3.5 only; bk_biz_id everywhere.
    # Source: bk-job EsbAppScopeReq.java, read 2026-11.
    if key.scope_type == "biz":
        return {"bk_biz_id": int(key.scope_id), "job_instance_id": key.job_instance_id}

    return ask.instance(key)


def _snapshot(data: _Data, timezone: tzinfo) -> Snapshot:
    job = data.job_instance
    return Snapshot(
        status=job.status,
        name=lenient.words(job.name),
        operator=lenient.words(job.operator),
        plan_id=lenient.chosen(job.bk_job_id),
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
        name=lenient.words(step.name),
        type=lenient.number(step.type),
        started_at=_moment(step.start_time, timezone),
        ended_at=_moment(step.end_time, timezone),
        hosts=_hosts(step.step_ip_status or []),
    )


def _attempt(step: _Step) -> int:
    count = step.retry_count if step.execute_count is None else step.execute_count
    return count or 0


def _hosts(rows: list[_Row]) -> dict[HostId, int]:
    targets.checked(row.ip for row in rows)
    return model.rows(
        (model.host_id(row.ip, row.bk_cloud_id or 0), row.status) for row in rows
    )


def _tails(
    raw: Raw, step_instance_id: int, wanted: logs.Wanted
) -> Mapping[HostId, str]:
    try:
        steps = _LOGS.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not the logs of an instance: {error}") from None

    results = [
        result
        for step in steps
        if step.step_instance_id == step_instance_id
        for result in step.step_results or ()
    ]
    # Of a host that has several logs, that of its failure counts.
    results.sort(key=lambda result: codes.host_failed(_status_of(result)))
    return logs.ends(
        (
            (wanted.host(log.ip, log.bk_cloud_id), log.log_content)
            for result in results
            for log in result.ip_logs or ()
        ),
        # Source: bk-job EsbGetJobInstanceLogResourceImpl.java, read 2026-11.
        escaped=True,
    )


def _status_of(result: _Logs) -> int:
    return lenient.number(result.ip_status) or 0


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
