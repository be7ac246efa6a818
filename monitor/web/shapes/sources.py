"""How each JOB is seen, and what is asked of it."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct


class SourceData(Struct, kw_only=True):
    """*standing*: ``seen``, ``doubted`` or ``lost``, and *since* when seen or lost.

    *cause*: why it is lost, ``unreachable``, ``auth``, ``throttled`` or ``garbled``.

    *rate* is the requests a second that this daemon may send, null without a limit;
    *in_flight* of *width* are under way. *requests* counts answers since the start by
    what they were, *late* is how late visits begin on average, in seconds.
    """

    name: str
    api: str
    standing: str
    cause: str = ""
    since: datetime | None
    watches: int
    rate: float | None
    in_flight: int
    width: int
    throttled: int
    requests: Mapping[str, int]
    late: float
