"""A way to a server that is cut: at a COMMIT, before or after it went through, or off."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

COMMIT: Final = b"COMMIT\0"

Cut = Callable[[Callable[[], None]], None]
"""What to do at a COMMIT, before both sides are hung up; given how to let it through."""


def before(_: Callable[[], None]) -> None:
    """Lose the COMMIT."""


def after(through: Callable[[], None]) -> None:
    """Lose the answer."""
    through()


class Way:
    """*port* leads to the server, until one of *cuts* is to be made.

    While it is *severed* it leads nowhere.
    """

    def __init__(self, server: int) -> None:
        self.cuts: list[Cut] = []
        self.severed = False
        self._open: set[socket.socket] = set()
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def sever(self) -> None:
        self.severed = True
        for client in [*self._open]:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.add(client)
                if self.severed:
                    client.close()
                else:
                    _thread(self._serve, client)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        # A server that is not there, or hangs up, is what the client sees as well.
        with client, suppress(OSError), _connected(self._server) as server:
            answering, answered = threading.Event(), threading.Event()
            answering.set()
            _thread(_pump, server, client, answering, answered)
            while asked := client.recv(1 << 16):
                if COMMIT in asked and self.cuts:
                    answering.clear()
                    answered.clear()

                    def through(asked: bytes = asked) -> None:
                        server.sendall(asked)
                        answered.wait()

                    self.cuts.pop(0)(through)
                    server.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(asked)


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port))


def _pump(
    server: socket.socket,
    client: socket.socket,
    answering: threading.Event,
    answered: threading.Event,
) -> None:
    with suppress(OSError):
        while answer := server.recv(1 << 16):
            if answering.is_set():
                client.sendall(answer)
            answered.set()
        client.shutdown(socket.SHUT_RDWR)


def _thread(target: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=target, args=arguments, daemon=True)
    thread.start()
    return thread


@contextmanager
def way(server: int) -> Iterator[Way]:
    made = Way(server)
    accepting = _thread(made.accept)
    try:
        yield made
    finally:
        made.close()
        accepting.join()
