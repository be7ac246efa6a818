"""What the loops need from the world; the adapters provide it.

Declared by the consumers. Nothing here knows HTTP, SQL or files.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from monitor.core.codes import Meaning
from monitor.core.decisions import Verdict
from monitor.core.listing import Page, Query, Row
from monitor.core.lists import Claim, Said
from monitor.core.member import Member
from monitor.core.message import Kind, Message
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.core.quiet import Entry
from monitor.core.state import Change, Phase, State
from monitor.core.telling import Acked, Obstacle, Told
from monitor.core.watch import Pause, Watch

Now = Callable[[], datetime]
"""Tells the date: aware, UTC."""

Luck = Callable[[], float]
"""Gives a number in [0, 1)."""

Shards = Collection[int]
"""Those that are meant of what has shards."""


class Look(Struct, frozen=True):
    """What one request brought: *snapshot* is None where nothing had changed."""

    digest: bytes
    snapshot: Snapshot | None


class Means(Struct, frozen=True, kw_only=True):
    """What an API offers beside the whole truth about one instance.

    *light*: it answers without hosts. *groups*: it counts the hosts of a step by
    status. *page*: the rows of one page of its list, 0 where it has none, for at
    most *range* at once. *tails*: it is asked for logs of so many hosts together;
    0: of all hosts of the instance or none.
    """

    light: bool = False
    groups: bool = False
    page: int = 0
    range: timedelta = timedelta(days=30)
    tails: int = 0


class Source(Protocol):
    """One JOB endpoint with its credentials.

    Each call asks once, raises an ``errors.SourceError``, and never returns what
    belongs to another instance.
    """

    @property
    def name(self) -> str: ...

    @property
    def means(self) -> Means: ...

    async def look(
        self, key: InstanceKey, digest: bytes = b"", *, hosts: bool = True
    ) -> Look:
        """Ask JOB about one instance.

        *digest* is that of the last look of this kind at this instance whose
        snapshot was used; an answer that is the same but for its request ids is
        not decoded again. Without *hosts* the steps come ``partial`` and empty,
        where the API can leave hosts out.
        """
        ...

    async def groups(self, key: InstanceKey, step: Step, most: int) -> Step:
        """Ask how the hosts of *step* stand in its attempt.

        At most *most* of each status and tag are named, so that the step that
        comes back is ``partial``.
        """
        ...

    async def page(self, query: Query) -> Page:
        """Ask for one page of the list."""
        ...

    async def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Mapping[HostId, str]:
        """Ask for the ends of the logs of *hosts*, those who have none left out.

        The ends are plain text of at most 4 KB each, not yet redacted; a call
        reads no more than a bounded number of bytes.
        """
        ...


class Budget(Protocol):
    """What may be asked of a source, shared by all who ask."""

    def turn(self, *, spare: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait for one's turn, and hold it for one request.

        *spare*: only while no visit is due. A ``SourceError`` that leaves the block
        is taken note of: who is throttled slows all others down.
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


def delivery_of(sink: str, message: Message, now: datetime) -> Delivery:
    """Begin a delivery that is due at once."""
    seconds = now.timestamp()
    return Delivery(sink=sink, message=message, due=seconds, since=seconds)


class Letter(Struct, frozen=True, kw_only=True):
    """A message that *sink* never took; *died_at* is seconds since 1970."""

    sink: str
    message: Message
    died_at: float
    tries: int
    error: str


class Unread(Struct, frozen=True):
    """Events with their positions, in order; *upto*: how far the log was read for them.

    None: so little was read in vain that it need not be remembered.
    """

    events: Sequence[tuple[int, Message]]
    upto: int | None


class Standing(Struct, frozen=True, kw_only=True):
    """What is behind at one sink: messages that wait, dead letters, events to be read.

    *retried* of those that wait have been tried in vain. *oldest* is when the first
    was put on its way or first tried, in seconds since 1970; *unread* is at least
    their number.
    """

    waiting: int = 0
    retried: int = 0
    oldest: float | None = None
    unread: int = 0
    dead: int = 0


class Shed(Struct, frozen=True, kw_only=True):
    """What was given up to keep a backlog in bounds: how many messages.

    *lines*: the ids of those that waited, by their lines.
    """

    messages: int
    lines: Mapping[str, Collection[str]] = {}


class Replayed(Struct, frozen=True, kw_only=True):
    """What was sent again; *already*: how many of them were on their way anyway."""

    events: int = 0
    notifications: int = 0
    already: int = 0

    def with_more(self, messages: Sequence[Message]) -> "Replayed":
        events = sum(each.kind is Kind.EVENTS for each in messages)
        return Replayed(
            events=self.events + events,
            notifications=self.notifications + len(messages) - events,
            already=self.already,
        )


class Account(Struct, frozen=True, kw_only=True):
    """Of one group: what each sink was told, how many notifications there were."""

    told: Mapping[str, Told]
    notifications: int


class Telling(Struct, frozen=True, kw_only=True):
    """What a sink is told now; without *told* it starts from nothing again."""

    sink: str
    told: Told | None
    delivery: Delivery | None = None


class Notice(Struct, frozen=True, kw_only=True):
    """What came of a look at one group.

    *number* is that of the group's last notification.
    """

    group: str
    number: int
    tellings: Sequence[Telling] = ()
    verdict: Verdict | None = None


class Shown(Struct, frozen=True):
    """What a page of a list showed *at* that moment of instances elsewhere."""

    source: str
    rows: Sequence[Row]
    at: datetime


class Found(Struct, frozen=True, kw_only=True):
    """What was found, or found again, *upto* a number; there are so many *in_all*."""

    watches: Sequence[Watch]
    upto: int
    in_all: int


class Register(Protocol):
    """The watches that discovery found.

    They are seen through to their end, whether or not the list still shows them
    after a restart.
    """

    async def found(self, source: str, after: int) -> Found:
        """Give those that were written since *after*; 0: all."""
        ...

    async def keys(self, source: str) -> list[InstanceKey]: ...

    async def add(self, watches: Sequence[Watch]) -> None:
        """Remember *watches*, those that are known with what they say now."""
        ...

    async def drop(self, keys: Sequence[InstanceKey]) -> None: ...

    async def over(self, source: str) -> list[InstanceKey]:
        """Name those at whom nobody looks any more: retired, or gone."""
        ...


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

    async def heads(self, source: str, shards: Shards) -> list[Head]:
        """List what is known of the instances and scopes of *source*, in no order."""
        ...


class Outbox(Protocol):
    """What the dispatcher reads, and how far each sink has come with each shard."""

    async def enrol(self, sink: str) -> None:
        """Let *sink* read what is recorded from now on, unless it reads already."""
        ...

    async def unread(self, sink: str, most: int, shards: Shards) -> Unread:
        """Give the oldest events of *shards* that *sink* has not read."""
        ...

    async def read(
        self, sink: str, position: int, failed: Sequence[Delivery], shards: Shards
    ) -> None:
        """Move *sink*'s cursors to *position*; keep what *failed* for later tries.

        *shards* are those that were asked for when it was read so far.
        """
        ...

    async def lines(self, sink: str, most: int, shards: Shards) -> list[Delivery]:
        """Give the first waiting delivery of each line, the most urgent first."""
        ...

    async def waiting(self, sink: str, shards: Shards) -> dict[str, set[str]]:
        """Give the ids of the messages that wait in each line."""
        ...

    async def delivered(self, done: Sequence[Delivery]) -> None: ...

    async def postpone(self, delivery: Delivery) -> None: ...

    async def bury(
        self, delivery: Delivery, died_at: float, *, fallback: str = ""
    ) -> None:
        """Move *delivery* to the dead letters; let *fallback* be told instead."""
        ...

    async def hasten(self, sink: str, now: float, shards: Shards) -> None:
        """Let all that waits for *sink* be due."""
        ...

    async def put(self, deliveries: Sequence[Delivery]) -> Collection[str]:
        """Put messages on their way that are on it no more; give the ids of those."""
        ...

    async def standing(self, sink: str, shards: Shards) -> Standing: ...

    async def shed(self, sink: str, most: int, now: float, shards: Shards) -> Shed:
        """Give up the oldest of what waits, is unread or is dead beyond *most* of each.

        Which they were stays on record.
        """
        ...

    async def pass_on(
        self, sink: str, fallback: str, before: float, now: float, shards: Shards
    ) -> int:
        """Put what waits for *sink* since *before* on its way to *fallback* as well.

        From then on *fallback* is told of those incidents whatever *sink* is told.
        Gives the number of notifications.
        """
        ...


class Ledger(Protocol):
    """What the notifier compares: what holds, and what was told."""

    async def alerting(self) -> list[str]:
        """Name the instances, scopes and sources for which something holds."""
        ...

    async def informed(self) -> list[str]:
        """Name the groups of which somebody was told that something holds."""
        ...

    async def members(self, keys: Collection[str]) -> list[Member]:
        """Give what telling must know of *keys*, those of which nothing is known left out."""
        ...

    async def accounts(self, groups: Sequence[str]) -> dict[str, Account]:
        """Give one for each of *groups*, also where nobody was told of it yet."""
        ...

    async def tell(self, notices: Sequence[Notice]) -> None:
        """Remember what is being said and why, and put it on its way, all at once."""
        ...

    async def verdicts(self, group: str, most: int) -> list[Verdict]:
        """Give the latest decisions about *group*, the newest first."""
        ...


class Sort(StrEnum):
    """In which order instances are listed; those that are alike by key."""

    WORST = "worst"
    CHANGED = "changed"
    FAILED = "failed"
    NAME = "name"
    KEY = "key"


class Wanted(Struct, frozen=True, kw_only=True):
    """Which instances to list; whatever is left out does not matter.

    *below*: of this source or scope; *text*: words that name or key contain.
    """

    phase: Phase | None = Phase.WATCHED
    below: str = ""
    meanings: frozenset[Meaning] = frozenset()
    least_rank: int = 0
    text: str = ""
    sort: Sort = Sort.WORST


class Listed(Struct, frozen=True, kw_only=True):
    """An instance as lists show it; fields are as in ``core.gist.Gist``."""

    member: Member
    failed: int
    hosts: int
    since: datetime | None
    changed_at: datetime | None


class Looked(Struct, frozen=True, kw_only=True):
    """When an instance was looked at, and when it will be; None: never.

    *failures*: so many looks in a row have failed since; None: it is another daemon's,
    and when it is looked at is known there alone. *pause*: nobody is to look.
    """

    watch: Watch
    seen_at: datetime | None
    next_at: datetime | None
    failures: int | None = 0
    pause: Pause | None = None


class Tally(Struct, frozen=True):
    """How many watched instances have this status and rank, and hosts they have."""

    status: int | None
    rank: int
    instances: int
    failed: int
    hosts: int


class Reading(Struct, frozen=True, kw_only=True):
    """Which events to read; *types* empty: of all types."""

    key: str | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    newest_first: bool = True


class Wishes(Protocol):
    """What people said at run time about who is watched.

    Whatever is kept takes the place of another of its kind with the same key.
    """

    async def added(self) -> list[Watch]: ...

    async def keep_watch(self, watch: Watch) -> None: ...

    async def drop_watches(self, keys: Sequence[InstanceKey]) -> None: ...

    async def paused(self) -> list[Pause]: ...

    async def keep_pause(self, pause: Pause) -> None: ...

    async def drop_pauses(self, keys: Sequence[InstanceKey]) -> None: ...


class Part(Struct, frozen=True):
    """A part of what a file of the watch list says, and its digest."""

    digest: str
    body: bytes


class SharedLists(Protocol):
    """The files of the watch list, as each of several machines has them."""

    async def claims(self) -> list[Claim]: ...

    async def publish(
        self, name: str, node: str, said: Said, parts: Sequence[Part]
    ) -> None:
        """Let *node* say this of its file *name*, and no longer what it said before."""
        ...

    async def withdraw(self, node: str, names: Collection[str]) -> None:
        """Let *node* say nothing any more of files that it does not have."""
        ...

    async def attest(self, node: str) -> None:
        """Note that *node* is there, and so is what it says."""
        ...

    async def forget_lists(self, age: float) -> int:
        """Drop what machines say that were not there for *age* seconds."""
        ...

    async def parts_of(self, claim: Claim) -> list[str]:
        """Give the digests of the parts of a content, in their order."""
        ...

    async def bodies(self, claim: Claim, digests: Collection[str]) -> list[Part]:
        """Give those of the parts that are still there."""
        ...


class Calendar(Protocol):
    """What people said at run time about when to be quiet."""

    async def said(self) -> list[Entry]: ...

    async def say(self, entry: Entry) -> None:
        """Keep *entry* in place of another of its kind with the same id."""
        ...

    async def unsay(self, entry: Entry) -> None: ...


class Quiet(Protocol):
    """What the notifier asks before it speaks."""

    def muting(self, traits: Mapping[str, str], now: datetime) -> Obstacle | None:
        """Find the silence or the maintenance that an alert falls under."""
        ...

    def acked(self, group: str, now: datetime) -> Acked | None: ...

    def cared_for(self) -> list[str]:
        """Name the groups that are acknowledged."""
        ...

    async def over(self, group: str) -> None:
        """The incident is over, and with it what was acknowledged."""
        ...
