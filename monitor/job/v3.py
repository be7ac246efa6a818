"""The v3 API, over the ESB and through the gateway: what is asked, what is said."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from monitor.core import model
from monitor.core.model import HostId, InstanceKey, Snapshot
from monitor.job import ask, instance, targets
from monitor.job.ask import Ask
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


# Not strict: old servers send numbers as strings.
_STATUS: Final = msgspec.json.Decoder(instance.Data[_Row], strict=False)


class V3:
    # Source: bk-job EsbGetJobInstanceListV3ResourceImpl, EsbBatchGetJobInstanceIpLog,
    # read 2026-11: a list of 1,000 rows at most, logs of 500 hosts.
    means: Final = Means(light=True, groups=True, page=1000, tails=500)

    def look(self, key: InstanceKey, *, hosts: bool) -> Ask:
        fields = ask.instance(key)
        if hosts:
            fields["return_ip_result"] = True
        return Ask("status", "get_job_instance_status", fields)

    def snapshot(self, data: Raw, key: InstanceKey, *, hosts: bool) -> Snapshot:
        return instance.snapshot(data, key, _STATUS, _named, asked=hosts)


def _named(rows: Sequence[_Row]) -> Sequence[tuple[HostId, _Row]]:
    targets.checked(row.ip for row in rows)
    return [
        (model.host_id(row.ip, row.bk_cloud_id or 0, row.bk_host_id), row)
        for row in rows
    ]
