"""What people said about when to be quiet: silences, maintenance, acknowledgements.

All of it is data with a beginning and an end; whether it bears on an alert now is
decided here, and never stored. Stored themselves, the shapes may only gain fields.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from monitor.core import matchers
from monitor.core.matchers import Matcher
from monitor.core.telling import Acked, Obstacle, WhyNot

DAY: Final = timedelta(days=1)
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY: Final = frozenset(range(7))
_AHEAD: Final = 8
"""Days over which windows that touch are joined."""

_LAST_START: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""The days after a beginning must be dates, in every zone."""


_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class Origin(StrEnum):
    FILE = "file"
    API = "api"


class Silence(Struct, frozen=True, kw_only=True, tag="silence"):
    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    author: str = ""
    comment: str = ""
    origin: Origin = Origin.API


class Daily(Struct, frozen=True, kw_only=True):
    """A window on some days of the week (0: Monday), by the clock of *timezone*.

    An *end* that is not after *start* is on the next day; the day is that of the
    start.
    """

    start: time
    end: time
    days: frozenset[int] = EVERY_DAY
    timezone: str = "UTC"


class Maintenance(Struct, frozen=True, kw_only=True, tag="maintenance"):
    """Holds from *starts_at* to *ends_at*, and within that, if *daily*, again and again."""

    name: str
    matchers: tuple[Matcher, ...]
    daily: Daily | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    author: str = ""
    comment: str = ""
    origin: Origin = Origin.API

    @property
    def id(self) -> str:
        return self.name


class Ack(Struct, frozen=True, kw_only=True, tag="ack"):
    """Somebody cares for *group* until *ends_at*, or until the incident is over."""

    group: str
    author: str
    at: datetime
    ends_at: datetime | None = None
    sticky: bool = False
    comment: str = ""

    @property
    def id(self) -> str:
        return self.group

    def now(self, now: datetime) -> Acked | None:
        if self.ends_at is not None and self.ends_at <= now:
            return None
        why = f": {self.comment}" if self.comment else ""
        return Acked(f"{self.author}{why}", self.sticky, self.ends_at)


Entry = Silence | Maintenance | Ack


def kind(entry: Entry) -> str:
    return str(type(entry).__struct_config__.tag)


def silenced_until(silence: Silence, now: datetime) -> datetime | None:
    """Say until when *silence* holds; None: it does not hold now."""
    return silence.ends_at if silence.starts_at <= now < silence.ends_at else None


class Span(Struct, frozen=True):
    """*end* is None where none is known."""

    start: datetime
    end: datetime | None


def maintained(one: Maintenance, now: datetime) -> Span | None:
    """Give the span of *one* that holds now."""
    start, end = one.starts_at, one.ends_at
    if (start is not None and now < start) or (end is not None and end <= now):
        return None
    if one.daily is None:
        return Span(start or now, end)
    found = _window(one.daily, now)
    if found is None:
        return None
    ends = [moment for moment in (found.end, end) if moment is not None]
    return Span(found.start, min(ends, default=None))


def begins(one: Maintenance, now: datetime) -> datetime | None:
    """Say when the next span of *one* begins, as far as that is within a week."""
    start, end = one.starts_at, one.ends_at
    if end is not None and end <= now:
        return None
    if one.daily is None:
        return start if start is not None and start > now else None
    first = max(now, start or now)
    spans = (
        max(begin, first) for begin, over in windows(one.daily, first) if over > first
    )
    found = next(spans, None)
    return found if found is not None and (end is None or found < end) else None


def _window(daily: Daily, now: datetime) -> Span | None:
    """Give the window that holds now, joined with those that it touches."""
    found: Span | None = None
    for start, end in windows(daily, now):
        if found is None:
            if start <= now < end:
                found = Span(start, end)
        elif found.end is not None and start <= found.end:
            found = structs.replace(found, end=max(end, found.end))
    return found


def windows(daily: Daily, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """List the windows from the day before *now* on, in order, for some days.

    A time that a change of the clock leaves out is taken as if the clock had not
    been changed yet, unless the window would be over by then: then as if it had
    been. Of one that comes twice the window begins at the first and ends at the
    second.
    """
    zone = ZoneInfo(daily.timezone)
    first = now.astimezone(zone).date() - DAY
    over_night = daily.end <= daily.start
    for day in (first + DAY * number for number in range(_AHEAD + 2)):
        if day.weekday() in daily.days:
            last = day + DAY if over_night else day
            start, end = _at(day, daily.start, 0, zone), _at(last, daily.end, 1, zone)
            yield start if start < end else _earlier(day, daily.start, zone), end


def _earlier(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock.replace(fold=1), zone).astimezone(UTC)


def _at(day: date, clock: time, fold: int, zone: ZoneInfo) -> datetime:
    local = datetime.combine(day, clock, zone)
    first, second = (local.replace(fold=each).utcoffset() for each in (0, 1))
    left_out = first is not None and second is not None and first < second
    return local.replace(fold=0 if left_out else fold).astimezone(UTC)


def read_clock(text: str) -> time:
    """Read ``22:00``; ValueError says what would be right."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(f'{text[:20]!r} is no time: write it like "22:00"')
    return time(int(found[1]), int(found[2]))


def read_zone(name: str) -> str:
    """Check the name of a time zone; ValueError says what would be right."""
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(
            f"{name[:40]!r} is no time zone: write it like Asia/Shanghai"
        ) from None
    return name


def read_days(names: Collection[str]) -> frozenset[int]:
    """Read ``mon``, ``tue`` …; ValueError says what would be right."""
    for name in names:
        if name not in DAYS:
            raise ValueError(f"{name[:20]!r} is no day: write {', '.join(DAYS)}")
    return frozenset(map(DAYS.index, names)) or EVERY_DAY


def in_utc(moment: datetime) -> datetime:
    """Give *moment*, which names its zone, in UTC; ValueError where it has no date there."""
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it is outside the years 1 to 9999 in UTC") from None


def check_order(starts_at: datetime | None, ends_at: datetime | None) -> None:
    """Raise ValueError where an end is not after its beginning, or that is too far."""
    if starts_at is not None and starts_at >= _LAST_START:
        raise ValueError(f"it would begin in {starts_at.year}: begin before 9999")
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise ValueError(
            f"it would end ({ends_at:%Y-%m-%d %H:%M}) before it begins"
            f" ({starts_at:%Y-%m-%d %H:%M})"
        )


class Quiet(Struct, frozen=True, kw_only=True):
    """All that holds or will hold, from the file and from people."""

    silences: Sequence[Silence] = ()
    maintenance: Sequence[Maintenance] = ()

    def muting(self, traits: Mapping[str, str], now: datetime) -> Obstacle | None:
        """Find what mutes an alert with *traits* for longest."""
        found = [*self._silenced(traits, now), *self._maintained(traits, now)]
        lasting = [each for each in found if each.until is None]
        if lasting:
            return lasting[0]
        return max(found, key=lambda each: each.until or now, default=None)

    def _silenced(self, traits: Mapping[str, str], now: datetime) -> Iterator[Obstacle]:
        for silence in self.silences:
            until = silenced_until(silence, now)
            if until and matchers.all_match(silence.matchers, traits):
                yield Obstacle(WhyNot.SILENCED, _said(silence), until)

    def _maintained(
        self, traits: Mapping[str, str], now: datetime
    ) -> Iterator[Obstacle]:
        for one in self.maintenance:
            if matchers.all_match(one.matchers, traits):
                span = maintained(one, now)
                if span is not None:
                    yield Obstacle(WhyNot.MAINTENANCE, _said(one), span.end)


def _said(entry: Silence | Maintenance) -> str:
    """Name an entry as ``explain`` shows it."""
    by = f" by {entry.author}" if entry.author else ""
    why = f": {entry.comment}" if entry.comment else ""
    return f"{entry.id}{by}{why}"
