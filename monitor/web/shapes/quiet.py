"""What people said about when to be quiet, and what they may say."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

Said = Annotated[str, Meta(max_length=1024)]
Author = Annotated[str, Meta(max_length=256)]
Matchers = Annotated[
    Sequence[Annotated[str, Meta(max_length=1024)]], Meta(min_length=1, max_length=20)
]


class SilenceAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Without *starts_at* it begins at once."""

    matchers: Matchers
    ends_at: datetime
    starts_at: datetime | None = None
    author: Author = ""
    comment: Said = ""


class SilenceData(Struct, kw_only=True):
    """*state* is ``pending``, ``active`` or ``expired``; *origin* ``file`` or ``api``."""

    id: str
    state: str
    matchers: list[str]
    starts_at: datetime
    ends_at: datetime
    author: str
    comment: str
    origin: str


class AckAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """*of* is the key of an instance, a scope or a source, or the name of a group.

    *sticky*: not even what gets worse is told.
    """

    of: Annotated[str, Meta(min_length=1, max_length=1024)]
    ends_at: datetime | None = None
    sticky: bool = False
    author: Author = ""
    comment: Said = ""


class AckData(Struct, kw_only=True):
    """Without *ends_at* it ends with the incident."""

    group: str
    author: str
    at: datetime
    ends_at: datetime | None
    sticky: bool
    comment: str


class AcksData(Struct, kw_only=True):
    acks: list[AckData]


class DailyData(Struct, kw_only=True, forbid_unknown_fields=True):
    """Times as ``22:00``, by the clock of *timezone*; no *days*: all of them."""

    start: Annotated[str, Meta(max_length=5)]
    end: Annotated[str, Meta(max_length=5)]
    days: Annotated[Sequence[str], Meta(max_length=7)] = ()
    timezone: Annotated[str, Meta(max_length=64)] = "UTC"


class MaintenanceAsked(Struct, kw_only=True, forbid_unknown_fields=True):
    """Within *starts_at* and *ends_at* always, or, if *daily*, again and again."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]+\Z", max_length=64)]
    matchers: Matchers
    daily: DailyData | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    author: Author = ""
    comment: Said = ""


class MaintenanceData(Struct, kw_only=True):
    """*state* is ``active``, ``pending`` or ``expired``; *until*: when this window ends.

    *begins*: when the next one does.
    """

    name: str
    state: str
    until: datetime | None
    begins: datetime | None
    matchers: list[str]
    daily: DailyData | None
    starts_at: datetime | None
    ends_at: datetime | None
    author: str
    comment: str
    origin: str
