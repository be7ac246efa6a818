"""Events as a person would note them down, one line each."""

from collections.abc import Iterable
from typing import Any

import msgspec

from monitor.core.message import Message


def lines(events: Iterable[Message]) -> list[str]:
    """Render like ``step.retried 4→4 attempt 1`` or ``hosts.failed 10.0.0.2=104``."""
    return [_line(event) for event in events]


def data(message: Message) -> Any:
    return msgspec.json.decode(message.data)


def _line(event: Message) -> str:
    said = data(event)
    words = [event.type.removeprefix("bkjob."), *_alert(said), *_statuses(said)]
    if "alert" not in said and "step" in said:
        words.append(f"attempt {said['step']['execute_count']}")
    words += [f"{host['ip']}={host['status']}" for host in said.get("hosts", ())]
    words += [f"{count['count']}×{count['status']}" for count in said.get("counts", ())]
    return " ".join(words)


def _alert(said: Any) -> Iterable[str]:
    if alert := said.get("alert"):
        yield alert["name"]
        yield alert["severity"]
        if "failed" in alert:
            yield f"{alert['failed']}/{alert['total']}"
        if "reason" in alert:
            yield f"({alert['reason']})"


def _statuses(said: Any) -> Iterable[str]:
    before, after = (said.get(when, {}).get("status") for when in ("before", "after"))
    if (before, after) != (None, None):
        yield f"{'' if before is None else before}→{'' if after is None else after}"
