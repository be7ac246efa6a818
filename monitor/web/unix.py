"""The socket through which the command line reaches a daemon of this machine.

It lies beside the store, for the owner alone; or in ``$RUNTIME_DIRECTORY``, where
systemd made one, for its group too. Who may open the file may do everything.
Imports no HTTP, for the command line looks for it too.
"""

import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from monitor import errors

NAME: Final = "job-monitor.sock"

SYSTEM: Final = Path("/run/job-monitor") / NAME
"""Where the daemon of systemd's unit has it."""

LONGEST: Final = 107
"""Bytes of an address. Source: unix(7), sun_path."""

_BACKLOG: Final = 64
_KNOCK: Final = 1.0
"""Seconds for a daemon to be there."""


def place(store: Path, environ: Mapping[str, str]) -> Path:
    """Say where the daemon that owns *store* has its socket."""
    directory = runtime_directory(environ)
    return directory / NAME if directory else store.with_suffix(".sock")


def runtime_directory(environ: Mapping[str, str]) -> Path | None:
    """Give what systemd made for us; of several the first."""
    first = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return Path(first) if first else None


@contextmanager
def listening(path: Path, mode: int) -> Iterator[socket.socket]:
    """Listen at *path* until the end, which removes it.

    What a daemon that died left there is replaced. Raises ``errors.Misconfigured``
    where a living one listens, or what is there is no socket; OSError where the
    system does not let us.
    """
    _make_way(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with reachable(path) as address:
            listener.bind(address)
        mine = path.lstat()
        try:
            # Nobody gets in before it listens, whatever the mode was until here.
            path.chmod(mode)
            listener.listen(_BACKLOG)
            yield listener
        finally:
            _remove(path, mine)


def connected(path: Path, timeout: float) -> socket.socket:
    """Connect to the daemon at *path*; OSError where there is none, or not for us."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(timeout)
        with reachable(path) as address:
            client.connect(address)
    except OSError:
        client.close()
        raise
    return client


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give an address for *path*, by way of its directory where it is too long."""
    if len(os.fsencode(path)) <= LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _make_way(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise errors.Misconfigured(
            f"{path} is no socket, but the daemon's should be there; move it away"
        )
    if _lives(path):
        raise errors.Misconfigured(
            f"{path} is the socket of another Job Monitor; stop it, or give this one"
            " a store of another name"
        )
    path.unlink(missing_ok=True)


def _lives(path: Path) -> bool:
    try:
        connected(path, _KNOCK).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    except TimeoutError:
        return True
    return True


def _remove(path: Path, mine: os.stat_result) -> None:
    try:
        found = path.lstat()
        if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
            path.unlink()
    except FileNotFoundError:
        return
