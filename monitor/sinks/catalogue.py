"""Every kind of sink, and how each is opened.

A kind's technology is imported when such a sink is opened, so that reading the
configuration stays quick.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final, assert_never

from pydantic import Field

from monitor.formats.library import Library
from monitor.ports import Now, Sink
from monitor.sinks.alertmanager.config import AlertmanagerConfig
from monitor.sinks.apprise.config import AppriseConfig
from monitor.sinks.broker.config import BrokerConfig
from monitor.sinks.exec.config import ExecConfig
from monitor.sinks.file.config import FileConfig
from monitor.sinks.heartbeat.config import HeartbeatConfig
from monitor.sinks.log.config import LogConfig
from monitor.sinks.plugin.config import PluginConfig
from monitor.sinks.webhook.config import WebhookConfig

DEFAULT: Final = Library()

SinkConfig = Annotated[
    LogConfig
    | WebhookConfig
    | AlertmanagerConfig
    | BrokerConfig
    | FileConfig
    | ExecConfig
    | HeartbeatConfig
    | AppriseConfig
    | PluginConfig,
    Field(discriminator="kind"),
]


@asynccontextmanager
async def opened(
    config: SinkConfig, *, now: Now, library: Library = DEFAULT
) -> AsyncIterator[Sink]:
    """Open a sink; Misconfigured if a file or a plugin is not what it should be.

    *library* holds the templates that it may write with.
    """
    match config:
        case LogConfig():
            from monitor.sinks.log.sink import LogSink  # noqa: PLC0415

            yield LogSink(config.name)
        case WebhookConfig():
            from monitor.sinks.webhook import sink as webhook  # noqa: PLC0415

            async with webhook.opened(config, now=now, library=library) as sink:
                yield sink
        case AlertmanagerConfig():
            from monitor.sinks.alertmanager import sink as pushing  # noqa: PLC0415

            async with pushing.opened(config, now=now) as sink:
                yield sink
        case BrokerConfig():
            from monitor.sinks.broker import sink as broker  # noqa: PLC0415

            async with broker.opened(config) as sink:
                yield sink
        case FileConfig():
            from monitor.sinks.file import sink as file  # noqa: PLC0415

            async with file.opened(config) as sink:
                yield sink
        case ExecConfig():
            from monitor.sinks.exec import sink as running  # noqa: PLC0415

            async with running.opened(config) as sink:
                yield sink
        case HeartbeatConfig():
            from monitor.sinks.heartbeat import sink as beating  # noqa: PLC0415

            async with beating.opened(config, now=now) as sink:
                yield sink
        case AppriseConfig():
            from monitor.sinks.apprise import sink as apprise  # noqa: PLC0415

            async with apprise.opened(config, locale=library.locale) as sink:
                yield sink
        case PluginConfig():
            from monitor.sinks.plugin import sink as plugin  # noqa: PLC0415

            async with plugin.opened(config) as sink:
                yield sink
        case _:
            assert_never(config)
