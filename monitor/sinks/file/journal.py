"""A file of lines that are whole and on the disk, and the ones before it.

Blocks. The file is locked, so that no other process writes in between; what else
moves it away (logrotate) is noticed before the next line.
"""

import fcntl
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

MODE: Final = 0o640
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


class Journal:
    """Every method raises OSError for what the file system does not do."""

    def __init__(self, path: Path, *, max_size: int, keep: int) -> None:
        self._path = path
        self._max_size = max_size
        self._keep = keep
        self._file: int | None = None

    def open(self) -> None:
        """Be ready to append; a line that a crash tore is ended first."""
        if self._file is not None and self._is_current(self._file):
            return
        self.close()
        file = os.open(self._path, _FLAGS, MODE)
        try:
            _own(file)
            _end_line(file)
            os.fsync(file)
        except OSError:
            os.close(file)
            raise
        self._file = file
        self._sync_directory()

    def append(self, lines: Sequence[bytes]) -> None:
        """Write *lines* so that they outlive a power loss, all or none of them."""
        self.open()
        written = b"".join(lines)
        size = self._size()
        if size and size + len(written) > self._max_size:
            self._rotate()
            size = 0
        assert self._file is not None  # noqa: S101 - it was opened
        try:
            _write(self._file, written)
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, size)
            self.close()
            raise

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _is_current(self, file: int) -> bool:
        """Tell whether the path still leads to *file*."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(file))
        except FileNotFoundError:
            return False

    def _size(self) -> int:
        assert self._file is not None  # noqa: S101 - it was opened
        return os.fstat(self._file).st_size

    def _rotate(self) -> None:
        for number in range(self._keep, 0, -1):
            before = self._older(number - 1)
            if before.exists():
                before.replace(self._older(number))
        if not self._keep:
            self._path.unlink()
        self.open()

    def _older(self, number: int) -> Path:
        return (
            self._path.with_name(f"{self._path.name}.{number}")
            if number
            else self._path
        )

    def _sync_directory(self) -> None:
        directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _own(file: int) -> None:
    if not stat.S_ISREG(os.fstat(file).st_mode):
        raise OSError(0, "is no regular file")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as held:
        raise OSError(held.errno, "somebody else writes to it") from held


def _end_line(file: int) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        _write(file, b"\n")


def _write(file: int, what: bytes) -> None:
    rest = memoryview(what)
    while rest:
        rest = rest[os.write(file, rest) :]
