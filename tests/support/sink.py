"""A sink that remembers, and refuses or dawdles as it is told."""

from collections.abc import Callable
from typing import Final

import anyio
import msgspec

from monitor import errors
from monitor.core.message import Message
from monitor.core.notifications import NotificationData

Refuse = Callable[[Message], Exception | None]


def taking(_: Message) -> None:
    """Refuse nothing."""


def down(_: Message) -> Exception:
    return errors.Undelivered("503")


class RecordingSink:
    """Satisfies ``ports.Sink``: *tried* is when which id came, *delivered* what stayed."""

    def __init__(self, name: str = "oncall", refuse: Refuse = taking) -> None:
        self.name: Final = name
        self.refuse = refuse
        self.latency: Callable[[Message], float] = lambda _: 0.0
        self.tried: list[tuple[float, str]] = []
        self.delivered: list[Message] = []
        self.most_at_once = 0
        self._at_once = 0

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.delivered]

    @property
    def said(self) -> list[str]:
        """The reasons of the notifications, in order."""
        return [told(message).reason for message in self.delivered]

    async def deliver(self, message: Message) -> None:
        self.tried.append((round(anyio.current_time(), 3), message.id))
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await anyio.sleep(self.latency(message))
        finally:
            self._at_once -= 1
        if refusal := self.refuse(message):
            raise refusal
        self.delivered.append(message)


def told(message: Message) -> NotificationData:
    return msgspec.json.decode(message.data, type=NotificationData)
