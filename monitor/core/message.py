"""An event or a notification on its way to a sink: one CloudEvent."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

NOTIFICATION: Final = "bkjob.notification"
CONTENT_TYPE: Final = "application/cloudevents+json"


class Kind(StrEnum):
    """What a sink may ask for (``send:``)."""

    EVENTS = "events"
    ALERTS = "alerts"


class Message(Struct, frozen=True, kw_only=True):
    """*data* is JSON; *traits* are what matchers look at.

    *id* never changes over retries and restarts. *key* names what must stay in
    order: the instance (or scope, or source) it is about. *traits* holds the
    watch's labels, and over them ``type``, ``source`` and ``severity``.
    """

    id: str
    key: str
    type: str
    source: str
    subject: str | None
    time: datetime
    sequence: int | None = None
    data: bytes
    traits: Mapping[str, str] = {}

    @property
    def kind(self) -> Kind:
        return Kind.ALERTS if self.type == NOTIFICATION else Kind.EVENTS

    @property
    def line(self) -> str:
        """What waits in one line at a sink: the events, or the notifications, of a key."""
        return f"{self.key}!" if self.kind is Kind.ALERTS else self.key

    def cloudevent(self) -> bytes:
        """Render as CloudEvents 1.0 structured JSON, absent attributes left out."""
        return msgspec.json.encode(
            _Envelope(
                id=self.id,
                source=f"/job-monitor/{self.source}",
                type=self.type,
                subject=self.subject,
                time=self.time,
                sequence=None if self.sequence is None else f"{self.sequence:012}",
                partitionkey=self.key,
                data=msgspec.Raw(self.data),
            )
        )


def holds_events(line: str) -> bool:
    return not line.endswith("!")


class _Envelope(Struct, kw_only=True, omit_defaults=True):
    # Factories, because a plain default would be left out with those that are absent.
    specversion: str = msgspec.field(default_factory=lambda: "1.0")
    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime
    datacontenttype: str = msgspec.field(default_factory=lambda: "application/json")
    sequence: str | None = None
    partitionkey: str
    data: msgspec.Raw


def key_of_line(line: str) -> str:
    return line.removesuffix("!")
