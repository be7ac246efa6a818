"""The daemons of a cluster, each with a configuration, a clock and a way of its own.

Each life of a daemon reaches the database from another address, so that the
database itself can tell who writes.
"""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio
from msgspec import Struct

from tests.e2e.daemon import Daemon
from tests.e2e.site import Site
from tests.e2e.waiting import until
from tests.support.proxying import Proxy
from tests.torture.schedule import RECOVERY

LONG: Final = 180.0
"""Seconds; no daemon takes so long to start or to end."""

STARTED: Final = '"service.started"'

FAKETIME: Final = Path("/usr/lib")
LIBRARY: Final = "*/faketime/libfaketime.so.1"


class Life(Struct):
    """A process, from its start to its end; *well* says when it could work."""

    member: int
    pid: int
    address: str
    began: float
    ended: float | None = None
    code: int | None = None
    """How it ended by itself; None where it was ended."""

    said: str = ""
    """Its last words, where it ended by itself."""

    ills: list[tuple[float, float]] = []
    """When it was stopped, cut off, or began anew with what is on record."""

    def well(self, now: float) -> Iterator[tuple[float, float]]:
        """List the stretches of time in which nothing kept it from work."""
        begin = self.began
        for start, end in sorted(self.ills):
            yield begin, start
            begin = end
        yield begin, now if self.ended is None else self.ended

    def begins_anew(self, log: str, zero: float) -> None:
        """Find in its *log* when it forgot what it had heard; *zero*: its second 0."""
        lost: float | None = None
        for line in map(json.loads, _objects(log)):
            said = datetime.fromisoformat(line["timestamp"]).timestamp() - zero
            if line["event"] == "lease.lost":
                lost = said
            if line["event"] == "service.started" and lost is not None:
                self.ills.append((lost, said))
                lost = None

    def lives(self, at: float) -> bool:
        ended = self.ended if self.ended is not None else float("inf")
        ill = any(start <= at < end for start, end in self.ills)
        return self.began <= at < ended and not ill


def _objects(log: str) -> Iterator[str]:
    """Leave out what is said in other words, as at a bad end."""
    return (line for line in log.splitlines() if line.startswith("{"))


class Member:
    """A host of the cluster. It is started again when its daemon ends by itself."""

    def __init__(
        self, number: int, site: Site, proxy: Proxy, environ: Mapping[str, str]
    ) -> None:
        self.number = number
        self.site = site
        self.proxy = proxy
        self.lives: list[Life] = []
        self._logs: list[Path] = []
        self._environ = environ
        self._daemon: Daemon | None = None
        self._wanted = False
        self._ails = False
        self._ailed_until = 0.0

    @property
    def daemon(self) -> Daemon:
        assert self._daemon is not None
        return self._daemon

    @property
    def life(self) -> Life:
        return self.lives[-1]

    @property
    def works(self) -> bool:
        """Whether its daemon has started, and nothing keeps it from work."""
        if not self._wanted or self._ails or anyio.current_time() < self._ailed_until:
            return False
        text = self.daemon.text
        return text.rfind(STARTED) > text.rfind('"lease.lost"')

    async def working(self) -> None:
        """Wait until its daemon has started; it may end by itself meanwhile."""
        await until(lambda: self.works, f"daemon {self.number} works", within=LONG)

    def start(self) -> None:
        high, low = divmod(len(self.lives), 250)
        self.proxy.address = f"127.{self.number + 1}.{high}.{low + 1}"
        self._daemon = Daemon(self.site.config, self._environ)
        self._logs.append(self._daemon.stderr)
        pid = self._daemon.process.pid
        now = anyio.current_time()
        ills = [(now, float("inf"))] if self._ails else []
        life = Life(self.number, pid, self.proxy.address, now, ills=ills)
        self.lives.append(life)
        self._wanted = True

    def kill(self) -> None:
        self._wanted = False
        self.daemon.kill()
        self.life.ended = anyio.current_time()

    async def drain(self) -> None:
        """End it in good order."""
        await self.working()
        self._wanted = False
        code = await self.daemon.stop(within=LONG)
        self.life.ended = anyio.current_time()
        if code:
            self._fell(code)

    async def stop(self, seconds: float) -> None:
        await self._ill(seconds, signal.SIGSTOP, signal.SIGCONT)

    async def cut_off(self, seconds: float) -> None:
        self.proxy.darken()
        try:
            await self._ill(seconds)
        finally:
            self.proxy.heal()

    async def _ill(
        self,
        seconds: float,
        first: signal.Signals | None = None,
        last: signal.Signals | None = None,
    ) -> None:
        self._ails = True
        self.life.ills.append((anyio.current_time(), float("inf")))
        if first:
            self.daemon.signal(first)
        await anyio.sleep(seconds)
        if last:
            self.daemon.signal(last)
        self._ails = False
        self._ailed_until = anyio.current_time() + RECOVERY
        # It may be another life than that which fell ill.
        begin, _ = self.life.ills[-1]
        self.life.ills[-1] = (begin, anyio.current_time())

    def look_after(self) -> int | None:
        """Start it again if it has ended by itself, as systemd would; give the code."""
        if not self._wanted or self.daemon.alive:
            return None
        self.life.ended = anyio.current_time()
        self._fell(int(self.daemon.process.returncode))
        self.start()
        return self.lives[-2].code

    def _fell(self, code: int) -> None:
        self.life.code = code
        lines = self.daemon.text.splitlines()
        self.life.said = lines[-1] if lines else ""

    def remember(self, date_of_zero: float, ahead: float) -> None:
        """Add to its lives what their logs say; its clock is so much *ahead*."""
        for life, log in zip(self.lives, self._logs, strict=True):
            life.begins_anew(log.read_text(), date_of_zero + ahead)

    def end(self) -> None:
        if self._daemon is not None and self._daemon.alive:
            self.kill()


def library() -> Path | None:
    """Find what shifts a process's clock; None where it is not installed."""
    return next(iter(sorted(FAKETIME.glob(LIBRARY))), None)


def environs(daemons: int, skew: float) -> list[dict[str, str]]:
    """Give each daemon a clock of its own, one *skew* after the other."""
    preload = library() if skew else None
    return [_environ(number * skew, preload) for number in range(daemons)]


def _environ(ahead: float, preload: Path | None) -> dict[str, str]:
    if preload is None or not ahead:
        return {**os.environ}
    return {
        **os.environ,
        "LD_PRELOAD": str(preload),
        "FAKETIME": f"{ahead:+.0f}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
