"""Each message as one line of the log.

Text from JOB and from watch lists is printable and bounded before it is logged.
About a source only ``lost`` and ``restored`` are logged, though its alert says the
same: an outage is one line down and one line up, however long it lasts.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from msgspec import Struct

from monitor import errors, logs
from monitor.core.message import NOTIFICATION, Message
from monitor.sinks.printable import printable

LISTED: Final = 20

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class _Named(Struct):
    name: str = ""


class _Status(Struct):
    status_name: str = ""


class _Count(Struct):
    status_name: str = ""
    count: int = 0

    def __str__(self) -> str:
        return f"{self.count} {self.status_name}"


class _Host(Struct):
    ip: str | None = None
    name: str | None = None
    bk_host_id: int | None = None

    def __str__(self) -> str:
        return self.ip or self.name or str(self.bk_host_id or "?")


class _Alert(Struct):
    name: str = ""
    step: _Named | None = None
    failed: int | None = None
    total: int | None = None
    hosts: list[_Host] = []
    omitted: int = 0

    def __str__(self) -> str:
        counted = f"{self.failed}/{self.total}" if self.failed else ""
        step = self.step.name if self.step else ""
        return " ".join(filter(None, (self.name, counted, step)))


class _Data(Struct):
    """Of events and notifications what a line shows, whatever is absent."""

    instance: _Named | None = None
    labels: dict[str, str] = {}
    link: str | None = None
    before: _Status | None = None
    after: _Status | None = None
    step: _Named | None = None
    hosts: list[_Host] = []
    counts: list[_Count] = []
    failed: int | None = None
    total: int | None = None
    part: int | None = None
    parts: int | None = None
    cause: str | None = None
    status: str | None = None
    reason: str | None = None
    severity: str | None = None
    summary: str | None = None
    alerts: list[_Alert] = []
    alert: _Alert | None = None


class LogSink(Struct, frozen=True):
    name: str

    async def deliver(self, message: Message) -> None:
        data = _decoded(message)
        if not _told_elsewhere(message):
            facts = {key: _shown(value) for key, value in _facts(message, data)}
            known = {key: value for key, value in facts.items() if value not in _VOID}
            lost = logs.lost()
            _log.log(_level(message, data), message.type, **known)
            if logs.lost() > lost:
                raise errors.Undelivered("the log takes no lines: is the disk full?")


_VOID: Final[tuple[Any, ...]] = (None, "", [], {})


def _decoded(message: Message) -> _Data:
    try:
        return msgspec.json.decode(message.data, type=_Data, strict=False)
    except msgspec.MsgspecError:
        # Such a line still says what happened to whom, from the envelope.
        return _Data()


def _told_elsewhere(message: Message) -> bool:
    about_source = message.key == message.source
    return about_source and not message.type.startswith("bkjob.source.")


def _level(message: Message, data: _Data) -> int:
    if message.type == NOTIFICATION and data.status == "firing":
        return logging.ERROR if data.severity == "critical" else logging.WARNING
    return logging.WARNING if message.type == "bkjob.source.lost" else logging.INFO


def _facts(message: Message, data: _Data) -> Iterator[tuple[str, Any]]:
    """Say what is known, in the order in which a person reads it."""
    yield "key", message.key
    yield "sequence", message.sequence
    yield "name", data.instance and data.instance.name
    yield "status", data.status
    yield "reason", data.reason
    yield "severity", data.severity
    yield "summary", data.summary
    yield "cause", data.cause
    yield "before", data.before and data.before.status_name
    yield "after", data.after and data.after.status_name
    yield "step", data.step and data.step.name
    yield "failed", data.failed
    yield "total", data.total
    yield "counts", _listed([str(count) for count in data.counts])
    yield "part", f"{data.part}/{data.parts}" if data.parts else None
    yield "alert", data.alert and str(data.alert)
    yield "alerts", _listed([str(alert) for alert in data.alerts])
    yield "ips", _ips(data)
    yield "labels", dict(list(data.labels.items())[:LISTED])
    yield "link", data.link
    yield "id", message.id


def _ips(data: _Data) -> list[str]:
    """List each host once, those of the worst alert first."""
    listed = [data.hosts, *(alert.hosts for alert in data.alerts)]
    ips = dict.fromkeys(str(host) for hosts in listed for host in hosts)
    return _listed(list(ips), unnamed=sum(alert.omitted for alert in data.alerts))


def _listed(texts: Sequence[str], unnamed: int = 0) -> list[str]:
    more = max(len(texts) - LISTED, 0) + unnamed
    return [*texts[:LISTED], *([f"…and {more} more"] if more else [])]


def _shown(value: Any) -> Any:
    match value:
        case str():
            return printable(value, 512)
        case list():
            return [_shown(item) for item in value]
        case Mapping():
            return {_shown(key): _shown(item) for key, item in value.items()}
        case _:
            return value
