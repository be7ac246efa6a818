"""A PostgreSQL server of a test's own: it may be stopped, and it asks for passwords."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.support import ports

PASSWORD: Final = "canary-7f3a9d"


def programs() -> Path:
    """Find the server's programs; skip the test where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("no PostgreSQL server is installed (initdb)")
    return found[-1].parent if found else Path(str(on_path)).parent


class Server:
    """Runs as the user ``postgres`` where we are root, which it refuses to be."""

    def __init__(self, directory: Path, settings: Sequence[str] = ()) -> None:
        self._programs = programs()
        self._data = directory / "data"
        self.port = ports.free()
        secret = directory / "password"
        secret.write_text(PASSWORD)
        if os.getuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
            shutil.chown(secret, "postgres", "postgres")
        self._run(
            *("initdb", "-N", "-U", "owner", "-A", "scram-sha-256", "-E", "UTF8"),
            *("--locale=C", f"--pwfile={secret}"),
        )
        # Whoever comes by a proxy comes from any address of the loopback network.
        with (self._data / "pg_hba.conf").open("a") as admitted:
            admitted.write("host all all 127.0.0.0/8 scram-sha-256\n")
        more = "".join(f" -c {setting}" for setting in settings)
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={self.port} -c ssl=off -c fsync=off"
            f" -c unix_socket_directories={directory}{more}"
        )
        self._options = ("-o", options, "-l", str(directory / "log"))

    def url(self, port: int | None = None) -> str:
        return (
            f"postgresql://owner:{PASSWORD}@127.0.0.1:{port or self.port}/postgres"
            "?sslmode=disable&gssencmode=disable"
        )

    def start(self) -> None:
        self._run("pg_ctl", "-w", *self._options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    def restart(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", *self._options, "restart")

    def become_a_standby(self) -> None:
        self.stop()
        (self._data / "standby.signal").touch()
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        subprocess.run(
            [
                *as_postgres,
                *(str(self._programs / program), "-D", str(self._data)),
                *arguments,
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
        )


@contextmanager
def served(*settings: str) -> Iterator[Server]:
    # Not below pytest's directory, into which nobody else may look.
    with tempfile.TemporaryDirectory(prefix="job-monitor-") as name:
        server = Server(Path(name), settings)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")
