"""What a person needs of a notification, cut to the room there is, and saying so.

Nothing here is escaped: that is up to where it is shown.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from monitor.core import codes
from monitor.formats import words as languages
from monitor.formats.reading import Alert, Cluster, Ended, Notification
from monitor.formats.words import Words

LINK: Final = 512
"""Longer links are left out: half of one leads nowhere."""


class Room(Struct, frozen=True):
    """*alerts*, *clusters* of each, *lines* of each log, and characters of a *text*."""

    alerts: int
    clusters: int
    lines: int
    text: int


ROOMS: Final = (
    Room(10, 10, 12, 240),
    Room(5, 5, 6, 200),
    Room(5, 3, 3, 160),
    Room(3, 3, 2, 100),
    Room(3, 2, 0, 80),
    Room(1, 1, 0, 40),
)
"""From the widest to one that even 4 KiB of hostile text fit into."""


class Kind(Struct, frozen=True):
    """Hosts that failed alike: *hosts* are examples, *more* counts the others."""

    count: int
    reason: str
    hosts: Sequence[str]
    more: str
    log: Sequence[str]
    log_cut: str


class Item(Struct, frozen=True):
    """One alert; *whose* job, where the message is about several."""

    title: str
    severity: str
    whose: str
    step: str
    failed: int
    total: int
    detail: str
    kinds: Sequence[Kind]
    more: str
    link: str


class Brief(Struct, frozen=True):
    """*summary* is of several jobs; *over* are alerts that were told and hold no more."""

    firing: bool
    severity: str
    headline: str
    summary: str
    job: str
    key: str
    link: str
    labels: Sequence[str]
    alerts: Sequence[Item]
    more: str
    over: Sequence[str]


def of(data: Notification, locale: str, room: Room) -> Brief:
    return _Writer(data, locale, room).brief()


class _Writer:
    def __init__(self, data: Notification, locale: str, room: Room) -> None:
        self._data = data
        self._locale = locale
        self._room = room
        self._words: Words = languages.of(locale)

    def brief(self) -> Brief:
        data, room = self._data, self._room
        job = data.instance.name if data.instance else ""
        left = len(data.alerts[room.alerts :]) + data.omitted
        return Brief(
            firing=data.firing,
            severity=data.severity,
            headline=self._headline(job or data.group),
            summary=self._text(data.summary) if data.several else "",
            job=self._text(job),
            key=self._text(data.group),
            link=_link(data.link),
            labels=[
                self._text(f"{name}={value}")
                for name, value in sorted(data.labels.items())[: room.alerts]
            ],
            alerts=[self._item(alert) for alert in data.alerts[: room.alerts]],
            more=self._words.more_alerts.format(count=left) if left else "",
            over=[self._over(each) for each in data.ended[: room.alerts]],
        )

    def _headline(self, job: str) -> str:
        words, data = self._words, self._data
        urgent = words.critical if data.severity == "critical" else words.warning
        state = urgent if data.firing else words.resolved
        again = f" ({words.reminder})" if data.reason == "reminder" else ""
        what = words.storm if data.reason == "storm" else job
        return self._text(f"{state} · {what}{again}")

    def _item(self, alert: Alert) -> Item:
        room = self._room
        left = sum(cluster.count for cluster in alert.clusters[room.clusters :])
        return Item(
            title=self._text(self._words.alert(alert.name)),
            severity=alert.severity,
            whose=self._whose(alert),
            step=self._text(alert.step.name if alert.step else ""),
            failed=alert.failed,
            total=alert.total,
            # Counts and step say the same in any language.
            detail="" if alert.failed else self._text(alert.summary),
            kinds=[self._kind(each) for each in alert.clusters[: room.clusters]],
            more=self._words.more_kinds.format(count=left) if left else "",
            link=_link(alert.link),
        )

    def _kind(self, cluster: Cluster) -> Kind:
        lines = [line for line in cluster.log.splitlines() if line.strip()]
        shown = lines[-self._room.lines :] if self._room.lines else []
        cut = len(shown) < len(lines) or bool(cluster.log_cut)
        left = cluster.count - len(cluster.hosts)
        return Kind(
            count=cluster.count,
            reason=self._reason(cluster),
            hosts=[self._text(str(host)) for host in cluster.hosts],
            more=self._words.more_hosts.format(count=left) if left > 0 else "",
            log=[self._text(line) for line in shown],
            log_cut=self._words.log_cut if cut else "",
        )

    def _reason(self, cluster: Cluster) -> str:
        exit_code = cluster.exit_code
        told = (
            codes.host(cluster.status).name(self._locale),
            "" if exit_code is None else f"{self._words.exit_code} {exit_code}",
            cluster.tag,
        )
        return self._text(", ".join(filter(None, told)))

    def _over(self, ended: Ended) -> str:
        step = ended.step.name if ended.step else ""
        told = (self._whose(ended), self._words.alert(ended.name), step)
        return self._text(" · ".join(filter(None, told)))

    def _whose(self, alert: Ended) -> str:
        if self._data.instance is not None or alert.instance is None:
            return ""
        return self._text(alert.instance.name or alert.instance.key)

    def _text(self, text: str) -> str:
        """Make one line of printable characters, no longer than there is room."""
        room = self._room.text
        line = "".join(_words(text[: 4 * room]))
        return line if len(line) <= room else f"{line[: room - 1]}…"


def _words(text: str) -> Iterator[str]:
    # Whatever turns the direction of writing or hides itself is not printable.
    return (c if c.isprintable() else " " for c in " ".join(text.split()))


def _link(link: str | None) -> str:
    return link if link and len(link) <= LINK else ""
