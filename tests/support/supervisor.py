"""What systemd would hear: a datagram socket, and what arrived at it."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

Words = Mapping[str, str]
"""One datagram: the variables that it assigns."""


class Supervisor:
    def __init__(self, listener: socket.socket, name: str) -> None:
        self._listener = listener
        self._heard: list[Words] = []
        self.name = name

    def environ(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.name, **more}

    def read(self) -> None:
        """Read what has arrived; a socket holds a dozen datagrams, then it is full."""
        with suppress(BlockingIOError):
            while True:
                text = self._listener.recv(4096, socket.MSG_DONTWAIT).decode()
                pairs = (line.partition("=") for line in text.splitlines())
                self._heard.append({name: value for name, _, value in pairs})

    @property
    def heard(self) -> list[Words]:
        """Give every datagram so far."""
        if self._listener.fileno() >= 0:
            self.read()
        return self._heard

    def count(self, name: str) -> int:
        return sum(name in words for words in self.heard)

    def told(self, *names: str) -> list[str]:
        """List which of *names* arrived, in the order in which they did."""
        return [name for words in self.heard for name in names if name in words]

    @property
    def status(self) -> str:
        return [words["STATUS"] for words in self.heard if "STATUS" in words][-1]


@contextmanager
def at(address: str) -> Iterator[Supervisor]:
    """Listen at a path, or at an abstract name that begins with ``@``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        supervisor = Supervisor(listener, address)
        yield supervisor
        supervisor.read()


@contextmanager
def listening(directory: Path) -> Iterator[Supervisor]:
    with at(str(directory / "notify")) as supervisor:
        yield supervisor
