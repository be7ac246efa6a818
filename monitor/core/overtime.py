"""What time alone makes wrong: a run that takes too long, or stands still.

Such a thing ends by what is seen, never by the time: a clock may be set back.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from monitor.core import model
from monitor.core.alerts import Held, Name
from monitor.core.model import Snapshot
from monitor.core.policy import Policy


class Course(Struct, frozen=True, kw_only=True):
    """What beside answers bears on what is wrong.

    *began_at*: when this run of the job began. *moved_at*: when we last saw anything
    move; *moved*: just now. *seen_since*: since when the source has been in sight.
    *whole*: all hosts were asked for.
    """

    now: datetime
    began_at: datetime
    moved_at: datetime
    moved: bool = True
    seen_since: datetime | None = None
    whole: bool = True


def overdue(held: Held, course: Course, policy: Policy) -> timedelta | None:
    """Give the limit that a run has exceeded which has not ended.

    A learnt limit moves with each run that ends: what was overdue by it stays so.
    """
    known, limit = held.get(Name.JOB_OVERDUE), policy.overdue_after
    if known is not None and (policy.learnt or known.limit == limit):
        return known.limit
    return limit if course.now - course.began_at >= limit else None


def is_stalled(held: Held, after: Snapshot, course: Course, limit: timedelta) -> bool:
    """Tell whether nothing has moved for too long in a job that should move.

    That nothing moved is believed of an answer with all hosts only.
    """
    if course.moved or after.awaits_person:
        return False
    known = held.get(Name.JOB_STALLED)
    if known is not None and known.limit == limit:
        return _last_sign(after, course) <= known.since
    return course.whole and course.now - still_since(after, course) >= limit


def still_since(after: Snapshot, course: Course) -> datetime:
    """Say since when nothing has moved, as far as that is proven.

    Hosts and attempts only go onwards, so that an answer which is the same as
    before, JOB's own times included, proves that nothing moved in between, whether
    or not we looked. Where JOB tells no time, only what we could see counts.
    """
    since = _last_sign(after, course)
    if course.seen_since is None or model.last_moved(after) is not None:
        return since
    return max(since, course.seen_since)


def _last_sign(after: Snapshot, course: Course) -> datetime:
    """Where JOB tells a time that is yet to come, it may as well have moved now."""
    told = model.last_moved(after)
    return max(course.moved_at, min(told or course.moved_at, course.now))


def deadlines(
    held: Held, after: Snapshot, course: Course, policy: Policy
) -> Iterator[datetime]:
    """Say when a run will have taken too long, and have stood still for too long."""
    if Name.JOB_OVERDUE not in held:
        yield course.began_at + policy.overdue_after
    if Name.JOB_STALLED not in held and not after.awaits_person:
        yield still_since(after, course) + policy.stalled_after
