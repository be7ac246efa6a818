"""Alerts as Alertmanager has them, and the body of its webhooks, version 4.

Source: Alertmanager's documentation of webhook_config, and template.Data and
webhook.Message of its source, read 2026-11; what a real one sends is compared in
the tests.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce
from typing import Final

import msgspec
from msgspec import Struct

from monitor.core.message import Message
from monitor.formats import reading
from monitor.formats.reading import Alert, Cluster, Ended, Notification

CONTENT_TYPE: Final = "application/json"
VALUE: Final = 256
"""Characters of the value of a label."""

SUMMARY: Final = 512
DESCRIPTION: Final = 2048
DESCRIBED: Final = 5
"""Clusters in a description, and lines of their logs."""

NEVER: Final = datetime(1, 1, 1, tzinfo=UTC)
"""How Alertmanager writes the end of what goes on."""


class Labelled(Struct, frozen=True):
    """An alert by its *labels*, which are what it is known by."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    since: datetime
    link: str | None = None


class _Alert(Struct):
    status: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime = msgspec.field(name="startsAt")
    ends_at: datetime = msgspec.field(name="endsAt")
    generator_url: str = msgspec.field(name="generatorURL")
    fingerprint: str


class _Body(Struct):
    receiver: str
    status: str
    alerts: Sequence[_Alert]
    group_labels: Mapping[str, str] = msgspec.field(name="groupLabels")
    common_labels: Mapping[str, str] = msgspec.field(name="commonLabels")
    common_annotations: Mapping[str, str] = msgspec.field(name="commonAnnotations")
    external_url: str = msgspec.field(name="externalURL")
    version: str
    group_key: str = msgspec.field(name="groupKey")
    truncated_alerts: int = msgspec.field(name="truncatedAlerts")


def body(message: Message, *, receiver: str) -> bytes:
    """Write the body of a webhook; Rejected for what is no notification."""
    data = reading.notification(message)
    alerts = [
        *(_alert(each, None) for each in holding(message, data)),
        *(_alert(each, message.time) for each in ended(message, data)),
    ]
    group = _grouped_by(message, data)
    return msgspec.json.encode(
        _Body(
            receiver=receiver,
            status=data.status,
            alerts=alerts,
            group_labels=group,
            common_labels=_common([alert.labels for alert in alerts]),
            common_annotations=_common([alert.annotations for alert in alerts]),
            external_url=data.link or "",
            version="4",
            group_key=f"{{}}:{{{', '.join(_matching(group))}}}",
            truncated_alerts=data.omitted,
        )
    )


def holding(message: Message, data: Notification) -> list[Labelled]:
    return [
        Labelled(
            labels(message, alert), _annotations(data, alert), alert.since, alert.link
        )
        for alert in data.alerts
    ]


def ended(message: Message, data: Notification) -> list[Labelled]:
    notes = {"summary": _clipped(data.summary)} if data.summary else {}
    return [
        Labelled(labels(message, each), notes, each.since, data.link)
        for each in data.ended
    ]


def labels(message: Message, alert: Ended) -> dict[str, str]:
    """Name an alert: ours are the same for as long as it holds; the watch's give way."""
    own = {
        "alertname": alert.name,
        "severity": alert.severity,
        **_place(message, alert),
        "step": alert.step.name if alert.step else "",
        "step_instance_id": str(alert.step.step_instance_id) if alert.step else "",
    }
    found = {name: value for name, value in own.items() if value}
    for name, value in sorted(alert.labels.items()):
        valid = label_name(name)
        given = f"exported_{valid}" if valid in own else valid
        if value:
            found.setdefault(given, value)
    return {name: value[:VALUE] for name, value in sorted(found.items())}


def _place(message: Message, alert: Ended) -> dict[str, str]:
    if alert.instance is not None:
        key = alert.instance
        return {"source": key.source, "scope": key.scope, "instance": key.key}
    # About a scope or the source itself, which are never in a group of several.
    return {"source": message.source, "scope": message.subject or "", "instance": ""}


def label_name(text: str) -> str:
    """Make a name that every Alertmanager takes; two underscores in front are its own.

    >>> label_name("9.team-a")
    '_9_team_a'
    """
    name = re.sub(r"[^A-Za-z0-9_]", "_", text[:VALUE])
    return re.sub(r"^_+|^(?=\d)|^$", "_", name)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Hash labels as Prometheus does: FNV-1a over sorted names and values.

    Source: prometheus/common model.LabelSet.Fingerprint, read 2026-11.
    """
    fed = b"".join(
        name.encode() + b"\xff" + value.encode() + b"\xff"
        for name, value in sorted(labels.items())
    )
    return f"{reduce(_fnv1a, fed, 0xCBF29CE484222325):016x}"


def _fnv1a(sum_: int, byte: int) -> int:
    return ((sum_ ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF


def _alert(alert: Labelled, ended_at: datetime | None) -> _Alert:
    return _Alert(
        status="firing" if ended_at is None else "resolved",
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.since,
        ends_at=NEVER if ended_at is None else max(ended_at, alert.since),
        generator_url=alert.link or "",
        fingerprint=fingerprint(alert.labels),
    )


def _annotations(data: Notification, alert: Alert) -> dict[str, str]:
    about = alert.instance or data.instance
    whose = (about.name or about.key) if about else data.group
    told = {
        "summary": _clipped(f"{whose}: {alert.summary}"),
        "description": "\n".join(_described(alert.clusters))[:DESCRIPTION],
    }
    return {name: value for name, value in told.items() if value}


def _clipped(text: str) -> str:
    return text if len(text) <= SUMMARY else f"{text[: SUMMARY - 1]}…"


def _described(clusters: Sequence[Cluster]) -> Iterator[str]:
    for cluster in clusters[:DESCRIBED]:
        exit_code = "" if cluster.exit_code is None else f"exit {cluster.exit_code}"
        why = ", ".join(filter(None, (cluster.status_name, exit_code, cluster.tag)))
        hosts = ", ".join(map(str, cluster.hosts))
        more = ", …" if cluster.count > len(cluster.hosts) else ""
        yield f"{cluster.count} × {why}: {hosts}{more}"
        yield from (f"    {line}" for line in cluster.log.splitlines()[-DESCRIBED:])
    left = sum(cluster.count for cluster in clusters[DESCRIBED:])
    if left:
        yield f"{left} × …"


def _grouped_by(message: Message, data: Notification) -> dict[str, str]:
    """Give labels that all alerts of the group share."""
    if data.instance is not None:
        key = data.instance
        return {"instance": key.key, "scope": key.scope, "source": key.source}
    shared = _common([labels(message, each) for each in (*data.alerts, *data.ended)])
    known = {"source", "scope", *map(label_name, data.labels)}
    return {name: value for name, value in shared.items() if name in known}


def _common(all_: Sequence[Mapping[str, str]]) -> dict[str, str]:
    if not all_:
        return {}
    shared = set[tuple[str, str]].intersection(*(set(one.items()) for one in all_))
    return dict(sorted(shared))


def _matching(labels: Mapping[str, str]) -> Iterable[str]:
    return (f"{name}={_quoted(value)}" for name, value in labels.items())


def _quoted(value: str) -> str:
    return msgspec.json.encode(value).decode()
