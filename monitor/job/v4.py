"""The v4 API, through the gateway only: what is asked, what is said."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from monitor import errors
from monitor.core import model
from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.job import ask, envelope, instance, lenient, lists, logs, targets
from monitor.job.ask import Ask, Field
from monitor.job.targets import Int, Ip
from monitor.ports import Means

_CONTAINER_ID: Final = 128


class _Host(Struct, gc=False):
    # Source: bk-job V4JobInstanceStatusResp.java, read 2026-11: ipv6 is sent where
    # there is one, and documented nowhere.
    ip: Ip | None = None
    ipv6: Ip | None = None
    bk_cloud_id: Int | None = None
    bk_host_id: Int | None = None


class _Container(Struct, gc=False):
    id: Int | None = None
    container_id: Any = None
    name: Any = None


class _Object(Struct, gc=False):
    """Type 1 is a host and 2 a container; the one or the other is there."""

    resource_id: Any = None
    host: _Host | None = None
    container: _Container | None = None


class _Row(Struct, gc=False):
    status: Int
    execute_object: _Object
    exit_code: Any = None
    tag: Any = None


class _Log(Struct):
    execute_object: _Object
    log_content: Any = None
    upload_log: list[logs.File] | None = None
    download_log: list[logs.File] | None = None


class _Logs(Struct):
    script_step_execute_object_logs: list[_Log] | None = None
    file_step_execute_object_logs: list[_Log] | None = None
    job_instance_id: Int | None = None
    step_instance_id: Int | None = None


_STATUS: Final = msgspec.json.Decoder(instance.Data[_Row], strict=False)
_LOGS: Final = msgspec.json.Decoder(_Logs, strict=False)


class V4:
    # Source: bk-job EsbGetJobInstanceListV4Resource.java, read 2026-11: a list of
    # 200 rows at most; V4BatchGet…Request.java: logs of 50 hosts or containers.
    means: Final = Means(light=True, page=200, tails=50)

    def look(self, key: InstanceKey, *, hosts: bool) -> Ask[Snapshot]:
        fields = ask.instance(key)
        if hosts:
            fields["return_execute_object_result"] = True
        return Ask(
            "status",
            "get_job_instance_status",
            fields,
            lambda data: instance.snapshot(data, key, _STATUS, _named, asked=hosts),
        )

    def groups(self, key: InstanceKey, step: Step, most: int) -> Ask[Step]:
        raise errors.Garbled("v4 does not group hosts: look at the instance instead")

    def page(self, query: Query, source: str) -> Ask[Page]:
        return lists.asked(query, source, self.means.page, start="offset")

    def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Sequence[Ask[Mapping[HostId, str]]]:
        wanted = logs.Wanted(hosts)
        # Of several lists in one request all but the first would be ignored.
        # Source: bk-job V4BatchGet…Request.java, read 2026-11.
        lists: dict[str, Field] = {
            "host_id_list": [*wanted.numbers],
            "ip_list": wanted.unnumbered,
            "container_id_list": [*wanted.containers],
        }
        fields = ask.instance(key) | {"step_instance_id": step_instance_id}
        return [
            Ask(
                "logs",
                "batch_get_job_instance_execute_object_log",
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
    rows = found.script_step_execute_object_logs or found.file_step_execute_object_logs
    return logs.ends(
        (_wanted(row.execute_object, wanted), _content(row)) for row in rows or ()
    )


def _wanted(target: _Object, wanted: logs.Wanted) -> HostId | None:
    number = lenient.number(target.resource_id)
    if target.container:
        return wanted.containers.get(target.container.id or number or 0)

    host = target.host or _Host()
    ip = host.ip or host.ipv6
    return wanted.host(ip, host.bk_cloud_id, host.bk_host_id or number)


def _content(row: _Log) -> object:
    files = [*(row.upload_log or ()), *(row.download_log or ())]
    return logs.of_files(files) if files else row.log_content


def _named(rows: Sequence[_Row]) -> Sequence[tuple[HostId, _Row]]:
    hosts = [row.execute_object.host for row in rows]
    targets.checked(host.ip or host.ipv6 for host in hosts if host)
    return [(_host_id(row.execute_object), row) for row in rows]


def _host_id(target: _Object) -> HostId:
    if target.container:
        return _container_id(target.container, target.resource_id)

    host = target.host or _Host()
    number = host.bk_host_id or lenient.number(target.resource_id)
    return model.host_id(host.ip or host.ipv6, host.bk_cloud_id or 0, number)


def _container_id(container: _Container, resource_id: object) -> HostId:
    number = container.id or lenient.number(resource_id) or 0
    # A space ends it within a host id.
    runtime_id = lenient.words(container.container_id, _CONTAINER_ID).replace(" ", "")
    return model.container_id(number, runtime_id, lenient.words(container.name))
