"""How the body of a request is written: by the ``format`` of the sink."""

from collections.abc import Callable
from functools import partial
from typing import assert_never

from msgspec import Struct

from monitor.core import message
from monitor.core.message import Message
from monitor.formats import alertmanager
from monitor.sinks.webhook.config import WebhookConfig


class Writing(Struct, frozen=True):
    content_type: str
    body: Callable[[Message], bytes]


def of(config: WebhookConfig) -> Writing:
    match config.format:
        case "cloudevents":
            return Writing(message.CONTENT_TYPE, Message.cloudevent)
        case "alertmanager":
            body = partial(alertmanager.body, receiver=config.name)
            return Writing(alertmanager.CONTENT_TYPE, body)
        case _:
            assert_never(config.format)
