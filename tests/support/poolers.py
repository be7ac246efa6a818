"""PgBouncer in transaction mode: each transaction may be on another session."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support import ports

_SETTINGS = """\
[databases]
* = host={host} port={port} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
logfile = {directory}/log
"""


@contextmanager
def pooling(url: URL, *, sessions: int) -> Iterator[URL]:
    """Give the way to the database at *url* through a pooler with so many sessions."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with tempfile.TemporaryDirectory(prefix="job-monitor-") as name:
        own = ports.free()
        settings = _SETTINGS.format(
            host=url.host or "127.0.0.1",
            port=url.port or 5432,
            user=url.username or "root",
            own=own,
            sessions=sessions,
            directory=name,
        )
        (Path(name) / "settings").write_text(settings)
        as_other = []
        if os.getuid() == 0:  # which it refuses to be
            as_other = ["runuser", "-u", "nobody", "--"]
            for path in (Path(name), Path(name) / "settings"):
                shutil.chown(path, "nobody")
        with subprocess.Popen(
            [*as_other, program, "-q", f"{name}/settings"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        ) as pooler:
            try:
                _listening(pooler, own)
                yield url.set(host="127.0.0.1", port=own)
            finally:
                pooler.terminate()


def _listening(pooler: "subprocess.Popen[bytes]", port: int) -> None:
    while True:
        assert pooler.poll() is None, "pgbouncer ended"
        with suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
