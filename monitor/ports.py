"""What the loops need from the world; the adapters provide it.

Declared by the consumers. Nothing here knows HTTP, SQL or files.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from monitor.core.message import Message
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.state import Change, Phase, State
from monitor.core.telling import Told

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


class Head(Struct, frozen=True, gc=False):
    """The few facts about an instance or scope that are kept in memory."""

    key: str
    phase: Phase
    changed_at: datetime | None
    finished_at: datetime | None


class Delivery(Struct, frozen=True, kw_only=True):
    """A message on its way to a sink; times are seconds since 1970.

    *number* orders the deliveries of one line and is given by the store; *since*
    is when it was first tried.
    """

    sink: str
    message: Message
    due: float
    tries: int = 0
    since: float
    error: str = ""
    number: int | None = None


class Account(Struct, frozen=True, kw_only=True):
    """Of one group: what holds, what each sink was told, how many notifications."""

    state: State
    told: Mapping[str, Told]
    notifications: int


class Telling(Struct, frozen=True, kw_only=True):
    """What a sink is told now; without *told* it starts from nothing again."""

    sink: str
    told: Told | None
    delivery: Delivery | None = None


class Memory(Protocol):
    """What the poller remembers.

    Of all that is kept: what a call has done is durable once it returns, and a
    failure to do it is an ``errors.StoreError``.
    """

    async def load(self, key: str) -> State:
        """Give what is known of *key*; a blank state where nothing is."""
        ...

    async def commit(self, change: Change) -> bool:
        """Keep state and events; False if somebody else changed the state first."""
        ...

    async def heads(self, source: str) -> list[Head]:
        """List what is known of the instances and scopes of *source*, in no order."""
        ...


class Outbox(Protocol):
    """What the dispatcher reads, and how far each sink has come."""

    async def enrol(self, sink: str) -> None:
        """Let *sink* read what is recorded from now on, unless it reads already."""
        ...

    async def unread(self, sink: str, most: int) -> list[tuple[int, Message]]:
        """Give the oldest events that *sink* has not read, with their positions."""
        ...

    async def read(self, sink: str, position: int, failed: Sequence[Delivery]) -> None:
        """Move *sink*'s cursor to *position*; keep what *failed* for later tries."""
        ...

    async def lines(self, sink: str, most: int) -> list[Delivery]:
        """Give the first waiting delivery of each line, the most urgent first."""
        ...

    async def waiting(self, sink: str) -> dict[str, int]:
        """Count the deliveries that wait in each line."""
        ...

    async def delivered(self, done: Sequence[Delivery]) -> None: ...

    async def postpone(self, delivery: Delivery) -> None: ...

    async def bury(self, delivery: Delivery, died_at: float) -> None:
        """Move *delivery* to the dead letters."""
        ...


class Ledger(Protocol):
    """What the notifier compares: what holds, and what was told."""

    async def alerting(self) -> list[str]:
        """Name the groups in which something holds or was told to hold."""
        ...

    async def account(self, key: str) -> Account: ...

    async def tell(self, key: str, number: int, tellings: Sequence[Telling]) -> None:
        """Remember what is being said, and put it on its way.

        *number* is that of the group's last notification.
        """
        ...
