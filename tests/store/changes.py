"""Small changes, messages and deliveries to remember."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from monitor.core import message
from monitor.core.alerts import Alert, Name
from monitor.core.message import Message
from monitor.core.model import Snapshot
from monitor.core.state import Change, State
from monitor.core.watch import Severity
from monitor.ports import Delivery, Memory
from tests.core import saying

NOW: Final = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY: Final = timedelta(days=1)
KEY: Final = "prod/biz/2/20000153"
ALERT: Final = Alert(name=Name.JOB_FAILED, severity=Severity.CRITICAL, since=NOW)
TOLD: Final = saying.heard([ALERT], NOW)


def an_event(sequence: int = 1, key: str = KEY, at: datetime = NOW) -> Message:
    source, _, subject = key.partition("/")
    return Message(
        id=f"{key}#{sequence}",
        key=key,
        type="bkjob.instance.changed",
        source=source,
        subject=subject,
        time=at,
        sequence=sequence,
        data=b'{"after":{"status":2}}',
        traits={"team": "sre"},
    )


def a_notification(number: int = 1, key: str = KEY) -> Message:
    source, _, subject = key.partition("/")
    return Message(
        id=f"{key}!{number}",
        key=key,
        type=message.NOTIFICATION,
        source=source,
        subject=subject,
        time=NOW,
        data=b"{}",
    )


def a_change(
    version: int = 1,
    key: str = KEY,
    *,
    after: int | None = None,
    events: int = 1,
    at: datetime = NOW,
    **fields: Any,
) -> Change:
    """Change *key* to *version*; *after* sequences, by default one a version."""
    first = (version - 1 if after is None else after) + 1
    last = first + events
    known: dict[str, Any] = {"snapshot": Snapshot(status=2), "changed_at": at}
    state = State(key=key, version=version, sequence=last - 1, **known | fields)
    recorded = tuple(an_event(number, key, at) for number in range(first, last))
    return Change(state=state, events=recorded)


async def remember(memory: Memory, *changes: Change) -> None:
    for change in changes:
        assert await memory.commit(change)


def a_delivery(
    what: Message | None = None, *, sink: str = "oncall", **fields: Any
) -> Delivery:
    now = NOW.timestamp()
    times: dict[str, Any] = {"due": now, "since": now}
    return Delivery(sink=sink, message=what or an_event(), **times | fields)


def ids(messages: Sequence[Message]) -> list[str]:
    return [it.id for it in messages]
