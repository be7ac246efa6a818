"""Tells systemd how far the daemon is and that it works, as sd_notify(3) says.

A datagram each, sent without waiting. Where the socket is full or away, nothing
fails: what systemd must not miss is said again before the next word.
"""

import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Never

import anyio
import structlog

from monitor.milestones import (
    Hear,
    Hitch,
    Milestone,
    Ready,
    Reloading,
    Starting,
    Stopping,
    Summary,
    unheard,
)

REFRESHED: Final = 2.0
"""Seconds between two looks at what the status line says."""

OPENING: Final = 600.0
"""Seconds that a start may take, migrations and all, whatever the unit says."""

LEAVING: Final = 10.0
"""Seconds that a stop may take beside the grace for deliveries."""

_KEPT: Final = 8

log = structlog.get_logger()


@asynccontextmanager
async def listening(environ: Mapping[str, str], pid: int) -> AsyncIterator[Hear]:
    """Let the systemd that *environ* speaks of hear of us, process *pid*."""
    address = _address(environ.get("NOTIFY_SOCKET", ""))
    if address is None:
        yield unheard
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        systemd = Systemd(ours, address, watchdog=_watchdog(environ, pid))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(systemd.run, name="systemd")
            yield systemd.hear
            tasks.cancel_scope.cancel()


def _address(name: str) -> str | None:
    if name.startswith("@"):
        return f"\0{name[1:]}"
    return name if name.startswith("/") else None


def _watchdog(environ: Mapping[str, str], pid: int) -> float | None:
    """Give the seconds within which we must be heard, if it is us who must."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    ours = environ.get("WATCHDOG_PID", str(pid)) == str(pid)
    if not ours or not microseconds.isdecimal():
        return None
    return int(microseconds) / 1e6 or None


class Systemd:
    def __init__(
        self, ours: socket.socket, address: str, *, watchdog: float | None
    ) -> None:
        self._socket = ours
        self._address = address
        self._watchdog = watchdog
        self._ready: Ready | None = None
        self._status = ""
        self._unsaid: deque[str] = deque(maxlen=_KEPT)

    def hear(self, milestone: Milestone) -> None:
        """Pass *milestone* on; satisfies ``milestones.Hear``."""
        self._ready = milestone if isinstance(milestone, Ready) else None
        match milestone:
            case Starting():
                self._insist(_extended(OPENING), "STATUS=Starting")
            case Ready():
                self._status = _line(milestone.summary())
                self._insist("READY=1", f"STATUS={self._status}")
            case Reloading():
                # Not the loop's time: libuv's may be older than the signal, and
                # systemd then takes this for an earlier reload.
                at = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                self._insist("RELOADING=1", f"MONOTONIC_USEC={at}", "STATUS=Reloading")
            case Stopping(grace):
                longest = _extended(grace + LEAVING)
                self._insist("STOPPING=1", longest, "STATUS=Delivering what is left")

    async def run(self) -> None:
        """Keep the status line fresh, and the watchdog quiet, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_status, name="status")
            if self._watchdog is not None:
                watchdog = Watchdog(self._watchdog, lambda: self._send("WATCHDOG=1"))
                tasks.start_soon(watchdog.run, lambda: self._ready, name="watchdog")

    async def _keep_status(self) -> Never:
        while True:
            await anyio.sleep(REFRESHED)
            if self._ready is not None:
                self._show(_line(self._ready.summary()))

    def _show(self, status: str) -> None:
        self._say_rest()
        if status != self._status and self._send(f"STATUS={status}"):
            self._status = status

    def _insist(self, *lines: str) -> None:
        self._unsaid.append("\n".join(lines))
        self._say_rest()

    def _say_rest(self) -> None:
        while self._unsaid and self._send(self._unsaid[0]):
            self._unsaid.popleft()

    def _send(self, text: str) -> bool:
        try:
            self._socket.sendto(text.encode(), socket.MSG_DONTWAIT, self._address)
        except OSError:
            return False
        return True


class Watchdog:
    """Beats twice in *interval* seconds for as long as the daemon gets on.

    The event loop gets on if this runs, the store if it answers, and the visits of
    a source if they begin and end. Without a ``Ready`` the loop alone is asked for:
    what is being built or taken down has a time-out of its own.
    """

    def __init__(self, interval: float, beat: Callable[[], object]) -> None:
        self._interval = interval
        self._beat = beat
        self._since: dict[str, tuple[int, float]] = {}

    async def run(self, ready: Callable[[], Ready | None]) -> Never:
        withheld = ""
        while True:
            reason = await self._wrong(ready())
            if reason and reason != withheld:
                log.error("watchdog.withheld", reason=reason)
            withheld = reason
            if not reason:
                self._beat()
            # Who could not beat tries again while there is time.
            await anyio.sleep(self._interval / (10 if reason else 2))

    async def _wrong(self, ready: Ready | None) -> str:
        if ready is None:
            self._since.clear()
            return ""
        try:
            with anyio.fail_after(self._interval / 4):
                await ready.answers()
        except TimeoutError:
            return "the store does not answer"
        stuck = self._stuck(ready.hitches())
        return f"no visit to {', '.join(stuck)} begins or ends" if stuck else ""

    def _stuck(self, hitches: Mapping[str, Hitch]) -> list[str]:
        now, before = anyio.current_time(), self._since
        self._since = {
            name: before[name]
            if name in before and before[name][0] == hitch.moves
            else (hitch.moves, now)
            for name, hitch in hitches.items()
        }
        return [
            name
            for name, hitch in hitches.items()
            if now - self._since[name][1] >= max(self._interval, hitch.patience)
        ]


def _line(summary: Summary) -> str:
    """Put how the daemon fares into the line that ``systemctl status`` shows."""
    parts = [f"Watching {summary.watched:,}", f"{summary.alerting:,} alerting"]
    parts += [f"source {name} lost" for name in summary.lost]
    if summary.waiting:
        parts.append(f"{summary.waiting:,} messages waiting")
    if summary.refused:
        parts.append("last reload refused, see the log")
    return ", ".join(parts)


def _extended(seconds: float) -> str:
    return f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}"
