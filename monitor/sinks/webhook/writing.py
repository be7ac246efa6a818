"""How the body of a request is written: by the ``format`` of the sink."""

from collections.abc import Callable
from functools import partial
from typing import assert_never

from msgspec import Struct

from monitor import errors
from monitor.core import message
from monitor.core.message import Message
from monitor.formats import alertmanager
from monitor.formats.library import Library, Template
from monitor.formats.robots import ROBOTS, Robot
from monitor.sinks.webhook.config import WebhookConfig


class Writing(Struct, frozen=True):
    content_type: str
    body: Callable[[Message], bytes]
    robot: Robot | None = None


def of(config: WebhookConfig, library: Library) -> Writing:
    """Choose; Misconfigured where there is no such template, or it is at fault."""
    match config.format:
        case "cloudevents":
            return Writing(message.CONTENT_TYPE, Message.cloudevent)
        case "alertmanager":
            body = partial(alertmanager.body, receiver=config.name)
            return Writing(alertmanager.CONTENT_TYPE, body)
        case "template":
            return _by_template(library.find(config.template or "", config.locale))
        case _:
            assert_never(config.format)


def _by_template(template: Template) -> Writing:
    # Who uses no template needs no Jinja2.
    from monitor.formats import templates  # noqa: PLC0415

    if why := templates.fault(template):
        raise errors.Misconfigured(f"template {template.name}: {why}")
    robot = ROBOTS[template.robot] if template.robot else None
    body = partial(templates.render, template)
    return Writing(template.content_type, body, robot)
