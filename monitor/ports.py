"""What the loops need from the world; the adapters provide it.

Declared by the consumers. Nothing here knows HTTP, SQL or files.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from monitor.core.message import Message
from monitor.core.model import InstanceKey, Snapshot

Now = Callable[[], datetime]
"""Tells the date: aware, UTC."""

Luck = Callable[[], float]
"""Gives a number in [0, 1)."""


class Look(Struct, frozen=True):
    """What one request brought: *snapshot* is None where nothing had changed."""

    digest: bytes
    snapshot: Snapshot | None


class Source(Protocol):
    """One JOB endpoint with its credentials."""

    @property
    def name(self) -> str: ...

    async def look(self, key: InstanceKey, digest: bytes = b"") -> Look:
        """Ask JOB about one instance, once.

        *digest* is that of the last look at this instance whose snapshot was
        used; an answer that is the same but for its request ids is not decoded
        again. Raises an ``errors.SourceError``; never returns what belongs to
        another instance.
        """
        ...


class Sink(Protocol):
    """Where messages go.

    *deliver* may be called again with the same message (its id stays the same),
    reads nothing but the message, returns once the other side has taken it, and
    otherwise raises ``errors.Undelivered`` or ``errors.Rejected``, with no secret
    in the text. It is called for one message of a key at a time, and for several
    keys at once.
    """

    @property
    def name(self) -> str: ...

    async def deliver(self, message: Message) -> None: ...
