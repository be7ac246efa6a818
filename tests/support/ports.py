"""Ports for servers that must be told theirs before they start."""

import random
import socket
from contextlib import suppress
from typing import Final

OURS: Final = range(10_000, 32_768)
"""Below those that Linux gives to whoever asks for any, also before a server starts."""

# Of no seed: those who test beside us must not draw the same.
_luck = random.SystemRandom()


def free() -> int:
    """Find a port of loopback that nobody has at the moment."""
    while True:
        port = _luck.choice(OURS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port
