"""An answer on its way out: what is said, and how it gets to the client.

Plain values, changed by ``faults`` and delivered by ``server``; no sockets here.
"""

from enum import StrEnum
from typing import Final

import msgspec

JSON: Final = {"Content-Type": "application/json; charset=utf-8"}
HTML: Final = {"Content-Type": "text/html; charset=utf-8"}


class Ending(StrEnum):
    WHOLE = "whole"
    TORN = "torn"
    """The connection drops half-way through the body."""

    REFUSED = "refused"
    """The connection is closed before a single byte."""

    NEVER = "never"
    """Nothing comes, and the connection stays open."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """*wait* and *drip* are seconds of the client's time, whatever the speed."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = msgspec.field(default_factory=lambda: JSON)
    wait: float = 0.0
    drip: float = 0.0
    """How long the body takes, in equal pieces."""

    padding: int = 0
    """How many bytes follow the body."""

    ending: Ending = Ending.WHOLE
