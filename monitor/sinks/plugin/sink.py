"""The door for strangers: sinks from the entry-point group ``monitor.sinks``.

An entry point is a callable ``(name, options)`` that gives an async context
manager of a sink. Ours around it: the configured name, and the deadline.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import anyio
from msgspec import Struct

from monitor import durations, errors
from monitor.core.message import Message
from monitor.ports import Sink
from monitor.sinks.plugin.config import PluginConfig

GROUP: Final = "monitor.sinks"

Factory = Callable[[str, Mapping[str, Any]], AbstractAsyncContextManager[Sink]]


class PluginSink(Struct, frozen=True):
    name: str
    sink: Sink
    timeout: timedelta

    async def deliver(self, message: Message) -> None:
        try:
            with anyio.fail_after(self.timeout.total_seconds()):
                await self.sink.deliver(message)
        except TimeoutError:
            raise errors.Undelivered(
                f"the plugin did not deliver within {durations.text(self.timeout)}"
            ) from None


@asynccontextmanager
async def opened(config: PluginConfig) -> AsyncIterator[PluginSink]:
    factory = _factory(config)
    async with factory(config.name, config.options) as sink:
        yield PluginSink(config.name, sink, config.timeout)


def _factory(config: PluginConfig) -> Factory:
    found = find(config)
    try:
        factory: Factory = found.load()
    except (ImportError, AttributeError) as exc:
        raise errors.Misconfigured(
            f"sink {config.name}: plugin {config.plugin} cannot be loaded "
            f"from {found.value}: {exc}"
        ) from exc
    return factory


def find(config: PluginConfig) -> EntryPoint:
    """Look the plugin up without loading it; Misconfigured where there is none."""
    known = entry_points(group=GROUP)
    for entry in known.select(name=config.plugin):
        return entry
    names = ", ".join(sorted(known.names)) or "none"
    raise errors.Misconfigured(
        f"sink {config.name}: no plugin {config.plugin!r} is installed; known: {names}"
    )
