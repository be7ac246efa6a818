"""Can we see the source? Not seeing is not failing.

A small state machine of its own: seen → doubted → lost → seen. Only what says
something about the whole source moves it; an answer that concerns one instance
(a bad body, no such instance, no permission) is no failure of the source.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

TRIES: Final = 5


class Cause(StrEnum):
    UNREACHABLE = "unreachable"
    AUTH = "auth"
    THROTTLED = "throttled"
    GARBLED = "garbled"


class Standing(StrEnum):
    SEEN = "seen"
    DOUBTED = "doubted"
    LOST = "lost"


class Kind(StrEnum):
    """The values are the public event types."""

    LOST = "bkjob.source.lost"
    RESTORED = "bkjob.source.restored"


class Reach(Struct, frozen=True, kw_only=True):
    """*since* is when the first of *failures* failed visits in a row failed."""

    standing: Standing = Standing.SEEN
    since: float = 0.0
    failures: int = 0
    cause: Cause | None = None


SEEN: Final = Reach()


def after_success(reach: Reach) -> Reach:
    return reach if reach.standing is Standing.SEEN else SEEN


def after_failure(
    reach: Reach, cause: Cause, *, now: float, lost_after: float
) -> Reach:
    """Count one failed visit; *now* and *lost_after* are seconds.

    Lost means: none of the visits has succeeded for *lost_after* and five tries,
    or the credentials were refused, which no waiting will heal.
    """
    since = now if reach.standing is Standing.SEEN else reach.since
    failures = reach.failures + 1
    patience_over = failures >= TRIES and now - since >= lost_after
    lost = reach.standing is Standing.LOST or cause is Cause.AUTH or patience_over
    return structs.replace(
        reach,
        standing=Standing.LOST if lost else Standing.DOUBTED,
        since=since,
        failures=failures,
        cause=cause,
    )


def change(before: Reach, after: Reach) -> Kind | None:
    """Tell whether sight of the source was lost or restored in between."""
    was, is_ = before.standing is Standing.LOST, after.standing is Standing.LOST
    return None if was == is_ else kind(lost=is_)


def kind(*, lost: bool) -> Kind:
    return Kind.LOST if lost else Kind.RESTORED
