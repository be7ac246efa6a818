"""A command in a terminal of its own: what its screen shows, and keys pressed there."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.waiting import until

COMMAND: Final = (sys.executable, "-m", "monitor")
SETSID: Final = "/usr/bin/setsid"
CTRL_C: Final = b"\x03"
_ESCAPES: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    def __init__(self, process: "subprocess.Popen[bytes]", master: int) -> None:
        self._process = process
        self._master = master
        os.set_blocking(master, False)
        self._seen = self._shown = b""

    def _read(self) -> bytes:
        try:
            while got := os.read(self._master, 1 << 16):
                self._shown += got
                self._seen += got
        except (BlockingIOError, OSError):  # nothing now, or the command has ended
            pass
        return self._shown

    async def shows(self, text: str) -> None:
        """Wait until *text* was on the screen since this was last asked."""
        await until(lambda: text.encode() in _ESCAPES.sub(b"", self._read()), text)
        self._shown = b""

    @property
    def last_frame(self) -> list[str]:
        """The lines that were drawn last, without what ends the alternate screen."""
        drawn = self._seen.rpartition(b"\x1b[?1049l")[0].rpartition(b"\x1b[H")[2]
        return _ESCAPES.sub(b"", drawn).decode().split("\r\n")

    async def ended(self) -> int:
        """Wait for the end; give the exit code."""
        await until(
            lambda: self._read() is None or self._process.poll() is not None, "it ends"
        )
        return int(self._process.returncode)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)


def _without_a_size() -> dict[str, str]:
    """Give the environment but for what would speak against the terminal itself."""
    return {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}


@contextmanager
def typing(*words: str, lines: int = 24, columns: int = 100) -> Iterator[Terminal]:
    if not Path(SETSID).exists():
        pytest.skip(f"there is no {SETSID}")
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    quiet = termios.tcgetattr(slave)
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, quiet)
    process = subprocess.Popen(
        # Ctrl-C reaches a command whose session has this terminal.
        [SETSID, "--ctty", *COMMAND, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env={**_without_a_size(), "TERM": "xterm-256color", "NO_COLOR": "1"},
    )
    os.close(slave)
    try:
        yield Terminal(process, master)
    finally:
        process.kill()
        process.wait()
        os.close(master)


@contextmanager
def writing(path: Path, *words: str) -> Iterator[None]:
    """Let a command write into a file for as long as the block lasts."""
    with path.open("wb") as out:
        process = subprocess.Popen([*COMMAND, *words], stdout=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
