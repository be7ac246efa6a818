"""The daemon as the system would start it: a process, signals, lines on stderr."""

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.e2e.waiting import OFTEN, PATIENCE, until

TOLD: Final = 4000
"""Characters of stderr that a failure shows."""

Line = dict[str, Any]


class Daemon:
    """One process; what it writes stays in *directory* for whoever searches it."""

    def __init__(self, config: Path, environ: Mapping[str, str] | None = None) -> None:
        directory = config.parent
        numbers = (directory / f"stderr.{n}" for n in itertools.count(1))
        self.stderr = next(path for path in numbers if not path.exists())
        self._offset = 0
        self._lines: list[Line] = []
        command = [sys.executable, "-m", "monitor", "run", "--config", str(config)]
        with (
            self.stderr.open("wb") as stderr,
            (directory / "stdout").open("ab") as stdout,
        ):
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environ,
            )

    @property
    def text(self) -> str:
        return self.stderr.read_text()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def lines(self) -> list[Line]:
        """Every whole line so far; each must be JSON."""
        with self.stderr.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        self._lines += [json.loads(line) for line in whole.splitlines()]
        return self._lines

    def said(self, event: str, **facts: Any) -> list[Line]:
        """List the lines called *event* that say these *facts*."""
        return [
            line
            for line in self.lines
            if line["event"] == event and facts.items() <= line.items()
        ]

    def loud(self) -> list[Line]:
        """List the lines at warning and above, but for those of a loaded machine."""
        return [
            line
            for line in self.lines
            if line["level"] not in ("debug", "info")
            and line["event"] != "loop.stalled"
        ]

    async def says(self, event: str, **facts: Any) -> Line:
        """Wait for such a line, while the daemon is alive."""
        what = f"the daemon says {event} {facts or ''}"
        await self.reaches(lambda: self.said(event, **facts), what)
        return self.said(event, **facts)[0]

    async def reaches(
        self, condition: Callable[[], object], what: str, *, every: float = OFTEN
    ) -> None:
        """Wait for *condition*; a daemon that dies meanwhile is a failure."""

        def reached() -> bool:
            alive = self.alive
            found = bool(condition())
            assert found or alive, f"the daemon died before: {what}"
            return found

        try:
            await until(reached, what, every=every)
        except AssertionError as failure:
            failure.add_note(self.text[-TOLD:])
            raise

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    async def ended(self, *, within: float = PATIENCE) -> int:
        """Wait for the end; give the exit code."""
        await until(lambda: not self.alive, "the daemon ends", within=within)
        return int(self.process.returncode)

    async def stop(self, *, within: float = PATIENCE) -> int:
        """End it the way systemd does."""
        self.signal(signal.SIGTERM)
        return await self.ended(within=within)

    def peak_memory(self) -> int:
        """Tell how many bytes were resident at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        [peak] = [line for line in status.splitlines() if line.startswith("VmHWM")]
        return int(peak.split()[1]) * 1024


@contextmanager
def running(config: Path, environ: Mapping[str, str] | None = None) -> Iterator[Daemon]:
    """Start a daemon; whatever happens in the block, none is left behind."""
    daemon = Daemon(config, environ)
    try:
        yield daemon
    finally:
        daemon.kill()
