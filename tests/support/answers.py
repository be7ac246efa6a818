"""What JOB says in the tests, and the watches that ask."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from monitor.core.model import HostId, InstanceKey, Snapshot, Step, host_id
from monitor.core.watch import Options, Place, Severity, Watch

STEP: Final = 7001


def a_key(number: int = 1, *, scope: str = "2", source: str = "prod") -> InstanceKey:
    return InstanceKey(source, "biz", scope, number)


KEY: Final = a_key()


def a_watch(
    key: InstanceKey = KEY,
    *,
    severity: Severity | None = None,
    settle: timedelta | None = None,
    until: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Watch:
    return Watch(
        key=key,
        labels=labels or {},
        options=Options(severity=severity, settle=settle, until=until),
        place=Place("list.txt", 1),
    )


def hosts(**statuses: int) -> dict[HostId, int]:
    """Name hosts by the last part of their address: ``hosts(_1=9, _2=104)``."""
    return {host_id(f"10.0.0.{name[1:]}", 0): code for name, code in statuses.items()}


def a_job(status: int, rows: Mapping[HostId, int], *, attempt: int = 0) -> Snapshot:
    """Build a job of one step, which has the job's own status."""
    step = Step(
        step_instance_id=STEP,
        status=status,
        execute_count=attempt,
        name="push",
        hosts=rows,
    )
    return Snapshot(status=status, name="deploy", steps=(step,))


RUNNING: Final = a_job(2, hosts(_1=7, _2=7))
FAILED: Final = a_job(4, hosts(_1=9, _2=104))
WORSE: Final = a_job(4, hosts(_1=104, _2=104))
RETRYING: Final = a_job(2, {}, attempt=1)
RECOVERED: Final = a_job(3, hosts(_1=9, _2=9), attempt=1)
SUCCEEDED: Final = a_job(3, hosts(_1=9, _2=9))
