"""The v3 API, over the ESB and through the gateway: what is asked, what is said."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from monitor import errors
from monitor.core import model
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.job import ask, envelope, instance, lists, logs, targets
from monitor.job.ask import Ask, Field
from monitor.job.targets import Int, Ip
from monitor.ports import Means


class _Row(Struct, gc=False):
    # bk_host_id is there since 3.7; a host with IPv6 only has no ip.
    # Source: bk-job EsbJobInstanceStatusV3DTO.java, read 2026-11.
    status: Int
    ip: Ip | None = None
    bk_cloud_id: Int | None = None
    bk_host_id: Int | None = None
    exit_code: Any = None
    tag: Any = None


class _Group(Struct):
    host_result_list: list[_Row] | None = None


class _Groups(Struct):
    """Hosts by status and tag.

    They have an ipv6 here, which is not read: a host id must not depend on who was
    asked.
    """

    step_result_group_list: list[_Group] | None = None
    job_instance_id: Int | None = None
    step_instance_id: Int | None = None


class _Log(Struct):
    ip: Ip | None = None
    bk_cloud_id: Int | None = None
    bk_host_id: Int | None = None
    log_content: Any = None
    file_logs: list[logs.File] | None = None


class _Logs(Struct):
    script_task_logs: list[_Log] | None = None
    file_task_logs: list[_Log] | None = None
    job_instance_id: Int | None = None
    step_instance_id: Int | None = None


# Not strict: old servers send numbers as strings.
_STATUS: Final = msgspec.json.Decoder(instance.Data[_Row], strict=False)
_LOGS: Final = msgspec.json.Decoder(_Logs, strict=False)
_GROUPS: Final = msgspec.json.Decoder(_Groups, strict=False)


class V3:
    # Source: bk-job EsbGetJobInstanceListV3ResourceImpl, EsbBatchGetJobInstanceIpLog,
    # read 2026-11: a list of 1,000 rows at most, logs of 500 hosts.
    means: Final = Means(light=True, groups=True, page=1000, tails=500)

    def look(self, key: InstanceKey, *, hosts: bool) -> Ask[Snapshot]:
        fields = ask.instance(key)
        if hosts:
            fields["return_ip_result"] = True
        return Ask(
            "status",
            "get_job_instance_status",
            fields,
            lambda data: instance.snapshot(data, key, _STATUS, _named, asked=hosts),
        )

    def groups(self, key: InstanceKey, step: Step, most: int) -> Ask[Step]:
        # Without batch a rolling step tells of its latest batch only; 0 is all.
        # Source: bk-job EsbGetStepInstanceStatusV3ResourceImpl, read 2026-11.
        fields = ask.instance(key) | {
            "step_instance_id": step.step_instance_id,
            "execute_count": step.execute_count,
            "batch": 0,
            "max_host_num_per_group": most,
        }
        return Ask(
            "groups",
            "get_step_instance_status",
            fields,
            lambda data: _grouped(data, key, step),
        )

    def page(self, query: Query, source: str) -> Ask[Page]:
        return lists.asked(query, source, self.means.page, start="start")

    def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Sequence[Ask[Mapping[HostId, str]]]:
        wanted = logs.Wanted(hosts)
        # Of both lists in one request the second would be ignored.
        # Source: bk-job batch_get_job_instance_ip_log.md, read 2026-11.
        lists: dict[str, Field] = {
            "host_id_list": [*wanted.numbers],
            "ip_list": wanted.unnumbered,
        }
        fields = ask.instance(key) | {"step_instance_id": step_instance_id}
        return [
            Ask(
                "logs",
                "batch_get_job_instance_ip_log",
                fields | {name: listed},
                lambda data: _tails(data, key, step_instance_id, wanted),
                posted=True,
                most=logs.MOST,
            )
            for name, listed in lists.items()
            if listed
        ]


def _tails(
    raw: Raw, key: InstanceKey, step_instance_id: int, wanted: logs.Wanted
) -> Mapping[HostId, str]:
    try:
        found = _LOGS.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not the logs of a step: {error}") from None

    instance.about_step(found, key, step_instance_id)
    return logs.ends(
        (
            wanted.host(row.ip, row.bk_cloud_id, row.bk_host_id),
            logs.of_files(row.file_logs) if row.file_logs else row.log_content,
        )
        for row in found.script_task_logs or found.file_task_logs or ()
    )


def _grouped(raw: Raw, key: InstanceKey, step: Step) -> Step:
    try:
        found = _GROUPS.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not the status of a step: {error}") from None

    instance.about_step(found, key, step.step_instance_id)
    rows = [
        row
        for group in found.step_result_group_list or ()
        for row in group.host_result_list or ()
    ]
    hosts, outcomes = targets.gathered(_named(rows))
    return msgspec.structs.replace(
        step,
        hosts=hosts,
        outcomes=outcomes,
        partial=True,
        stale=frozenset(),
        failures={},
    )


def _named(rows: Sequence[_Row]) -> Sequence[tuple[HostId, _Row]]:
    targets.checked(row.ip for row in rows)
    return [
        (model.host_id(row.ip, row.bk_cloud_id or 0, row.bk_host_id), row)
        for row in rows
    ]
