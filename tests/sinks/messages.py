"""Messages with good defaults, shaped like those of the daemon."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from monitor.core.message import NOTIFICATION, Message

SEEN_AT = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
KEY = "prod/biz/2/20000153"
INSTANCE = {
    "source": "prod",
    "bk_scope_type": "biz",
    "bk_scope_id": "2",
    "job_instance_id": 20000153,
    "name": "nightly deploy",
}


def hosts(count: int) -> list[dict[str, Any]]:
    return [
        {"ip": f"10.0.{n // 256}.{n % 256}", "bk_cloud_id": 0, "status": 11}
        for n in range(count)
    ]


def an_event(
    type_: str = "bkjob.hosts.failed",
    *,
    sequence: int = 4,
    key: str = KEY,
    data: Mapping[str, Any] | bytes | None = None,
) -> Message:
    found = {"instance": INSTANCE, "hosts": hosts(2), "failed": 2, "total": 3}
    return Message(
        id=f"{key}#{sequence}",
        key=key,
        type=type_,
        source="prod",
        subject=key.partition("/")[2] or None,
        time=SEEN_AT,
        sequence=sequence,
        data=_json(found if data is None else data),
        traits={"type": type_, "source": "prod"},
    )


def a_notification(key: str = KEY, number: int = 1, **data: Any) -> Message:
    found = {
        "status": "firing",
        "reason": "first",
        "severity": "critical",
        "instance": INSTANCE,
        "summary": "2 of 3 hosts failed in step 'deploy'",
    }
    return Message(
        id=f"{key}!{number}",
        key=key,
        type=NOTIFICATION,
        source="prod",
        subject=key.partition("/")[2] or None,
        time=SEEN_AT,
        data=_json({**found, **data}),
        traits={"type": NOTIFICATION, "source": "prod", "severity": "critical"},
    )


def _json(data: Mapping[str, Any] | bytes) -> bytes:
    return data if isinstance(data, bytes) else msgspec.json.encode(data)
