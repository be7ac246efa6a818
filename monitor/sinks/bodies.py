"""What a sink would send, for whoever wants to see it first; sends nothing."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from msgspec import Struct

from monitor import errors
from monitor.core import message
from monitor.core.message import Message
from monitor.formats.library import JSON, Library
from monitor.sinks.alertmanager.config import AlertmanagerConfig
from monitor.sinks.apprise.config import AppriseConfig
from monitor.sinks.broker.config import BrokerConfig
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.exec.config import ExecConfig
from monitor.sinks.file.config import FileConfig
from monitor.sinks.webhook import writing
from monitor.sinks.webhook.config import WebhookConfig

TEXT: Final = "text/plain"


class Writing(Struct, frozen=True):
    content_type: str
    body: Callable[[Message], bytes]


def of(config: SinkConfig, library: Library, now: datetime) -> Writing:
    """Choose by kind; Misconfigured where a sink has no body that could be shown."""
    match config:
        case WebhookConfig():
            found = writing.of(config, library)
            return Writing(found.content_type, found.body)
        case BrokerConfig() | FileConfig() | ExecConfig():
            return Writing(message.CONTENT_TYPE, Message.cloudevent)
        case AlertmanagerConfig():
            from monitor.sinks.alertmanager import sink as pushing  # noqa: PLC0415

            return Writing(JSON, lambda told: pushing.body(config, told, now))
        case AppriseConfig():
            locale = config.locale or library.locale
            return Writing(TEXT, lambda told: _letter(config, told, locale))
        case _:
            raise errors.Misconfigured(
                f"sink {config.name}: what is of the kind {config.kind} has no body to"
                " be shown"
            )


def _letter(config: AppriseConfig, told: Message, locale: str) -> bytes:
    from monitor.formats import letter  # noqa: PLC0415

    written = letter.of(told, markup=config.format, locale=locale)
    return f"{written.title}\n\n{written.body}".encode()
