"""How sinks fare, dead letters, and what is to be sent again."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct


class SinkStateData(Struct, kw_only=True):
    """*condition*: ``well``, ``failing`` (not all is taken) or ``resting`` (*until* then).

    *since* is when trouble began, *error* the last there was; *node* has that trouble,
    and it is null where all nodes fare alike.

    *waiting* messages are on their way, the first since *oldest*; *unread* is at least
    how many events are still to be read for it; *dead* counts its dead letters.
    """

    name: str
    condition: str
    since: datetime | None
    until: datetime | None
    error: str
    taken_at: datetime | None
    failed_at: datetime | None
    waiting: int
    oldest: datetime | None
    unread: int
    dead: int
    fallback: str
    node: str | None = None


class LetterData(Struct, kw_only=True):
    """*message* is the CloudEvent as it was to be sent; null unless asked for by id."""

    sink: str
    id: str
    type: str
    died_at: datetime
    tries: int
    error: str
    message: msgspec.Raw


class LettersAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Those of *ids*, or *all* of them; of one *sink* alone, where it is named."""

    ids: Sequence[str] = ()
    all: bool = False
    sink: str | None = None


class LettersMoved(Struct, kw_only=True):
    """*skipped*: of sinks that are configured no more, or on their way already."""

    letters: int
    skipped: int = 0


class ReplayAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """What was recorded *since* then and before *until*, and fits every matcher.

    *dry*: only count it.
    """

    sink: str
    since: datetime
    until: datetime | None = None
    match: Sequence[str] = ()
    dry: bool = False


class ReplayedData(Struct, kw_only=True):
    """*already*: how many of them were on their way anyway."""

    events: int
    notifications: int
    already: int = 0
