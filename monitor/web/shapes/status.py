"""All of it in a few numbers."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct


class StatusData(Struct, kw_only=True):
    """*watches* are wished for; of those *unseen* were not seen so far.

    Nobody looks at those that are *paused*. *instances* counts those that are watched by meaning of their status, *problems*
    by severity. *failed* of *hosts* hosts have failed and not recovered. All is of all
    *nodes* that live together; *unowned*: shards that none of them owns.
    """

    version: str
    started_at: datetime
    watches: int
    unseen: int
    paused: int
    instances: Mapping[str, int]
    problems: Mapping[str, int]
    failed: int
    hosts: int
    sources: int
    sources_lost: int
    sinks: int
    sinks_failing: int
    waiting: int
    dead: int
    faults: int
    nodes: int = 1
    unowned: int = 0
