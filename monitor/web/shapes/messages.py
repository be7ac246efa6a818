"""A message as it is on record."""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from monitor.core.message import Message


class MessageData(Struct, kw_only=True):
    """An event or a notification, *kept* as it was; or written of what holds now."""

    id: str
    key: str
    type: str
    source: str
    subject: str | None
    time: datetime
    sequence: int | None
    traits: Mapping[str, str]
    data: msgspec.Raw
    kept: bool = True


def of(message: Message, *, kept: bool = True) -> MessageData:
    return MessageData(
        id=message.id,
        key=message.key,
        type=message.type,
        source=message.source,
        subject=message.subject,
        time=message.time,
        sequence=message.sequence,
        traits=message.traits,
        data=msgspec.Raw(message.data),
        kept=kept,
    )


def message(data: MessageData) -> Message:
    return Message(
        id=data.id,
        key=data.key,
        type=data.type,
        source=data.source,
        subject=data.subject,
        time=data.time,
        sequence=data.sequence,
        traits=data.traits,
        data=bytes(data.data),
    )
