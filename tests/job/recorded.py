"""Recorded answers, and the one instance that most tests ask about."""

import json
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

from monitor.core.model import InstanceKey, Snapshot
from monitor.job import dialect, envelope
from monitor.job.ask import Api

CHINA = timezone(timedelta(hours=8))
KEY = InstanceKey("prod", "biz", "2", 20000153)


def read(name: str) -> bytes:
    return (Path(__file__).parent / "samples" / f"{name}.json").read_bytes()


def tree(name: str = "failed") -> Any:
    return json.loads(read(name))


def dump(tree: object) -> bytes:
    return json.dumps(tree).encode()


def decipher(
    body: bytes,
    key: InstanceKey = KEY,
    *,
    api: Api = "esb-v2",
    status: int = 200,
    hosts: bool = True,
) -> Snapshot:
    data = envelope.unwrap(status, {}, body)
    return dialect.of(api, CHINA).look(key, hosts=hosts).read(data)
