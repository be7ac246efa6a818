"""The daemons of a cluster, each with a configuration, a clock and a way of its own.

Each life of a daemon reaches the database from another address, so that the
database itself can tell who writes.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import anyio
from msgspec import Struct

from tests.e2e.daemon import Daemon
from tests.e2e.site import Site
from tests.support.proxying import Proxy

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
    """When it was stopped or cut off."""

    def well(self, now: float) -> Iterator[tuple[float, float]]:
        """List the stretches of time in which nothing kept it from work."""
        begin = self.began
        for start, end in sorted(self.ills):
            yield begin, start
            begin = end
        yield begin, now if self.ended is None else self.ended

    def lives(self, at: float) -> bool:
        ended = self.ended if self.ended is not None else float("inf")
        ill = any(start <= at < end for start, end in self.ills)
        return self.began <= at < ended and not ill


class Member:
    """A host of the cluster. It is started again when its daemon ends by itself."""

    def __init__(
        self, number: int, site: Site, proxy: Proxy, environ: Mapping[str, str]
    ) -> None:
        self.number = number
        self.site = site
        self.proxy = proxy
        self.lives: list[Life] = []
        self._environ = environ
        self._daemon: Daemon | None = None
        self._wanted = False
        self._ails = False

    @property
    def daemon(self) -> Daemon:
        assert self._daemon is not None
        return self._daemon

    @property
    def life(self) -> Life:
        return self.lives[-1]

    def start(self) -> None:
        high, low = divmod(len(self.lives), 250)
        self.proxy.address = f"127.{self.number + 1}.{high}.{low + 1}"
        self._daemon = Daemon(self.site.config, self._environ)
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

    async def drain(self, within: float) -> None:
        """End it in good order."""
        self._wanted = False
        code = await self.daemon.stop(within=within)
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
