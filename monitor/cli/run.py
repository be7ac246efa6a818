"""``job-monitor run``: the daemon."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from signal import SIG_IGN, SIGHUP, SIGINT, SIGTERM, Signals, signal

import anyio

from monitor import logs, stalls, tracing
from monitor.cli import options
from monitor.milestones import Hear, unheard


def run(config: options.Config = None) -> None:
    """Watch what the watch lists name and tell people, until told to stop.

    SIGTERM and SIGINT stop it gracefully; SIGHUP reads configuration, watch lists
    and secrets anew.
    """
    # Until it is listened for: a reload right after the start must not kill us.
    signal(SIGHUP, SIG_IGN)
    from monitor import service  # noqa: PLC0415
    from monitor.settings import loading  # noqa: PLC0415
    from monitor.settings.model import Settings  # noqa: PLC0415

    def load() -> Settings:
        settings = loading.load(config, os.environ)
        logs.configure(settings.log.format, settings.log.level, colour=options.colour())
        return settings

    async def main() -> None:
        # Open throughout: between two waits, a signal would be lost or kill us.
        with (
            anyio.open_signal_receiver(SIGTERM, SIGINT) as stops,
            anyio.open_signal_receiver(SIGHUP) as hangups,
        ):
            async with (
                _supervised() as hear,
                stalls.watching() as stalled,
                tracing.opened(os.environ) as spans,
            ):
                await service.serve(
                    load,
                    until=_next(stops),
                    reloading=_next(hangups),
                    hear=hear,
                    meters=[stalled],
                    spans=spans,
                )

    anyio.run(main, backend_options={"use_uvloop": True})


def _supervised() -> AbstractAsyncContextManager[Hear]:
    if "NOTIFY_SOCKET" not in os.environ:
        return nullcontext(unheard)
    from monitor import systemd  # noqa: PLC0415

    return systemd.listening(os.environ, os.getpid())


def _next(signals: AsyncIterator[Signals]) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        await anext(signals)

    return wait
