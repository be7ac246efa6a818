"""What may be configured about when to be quiet: silences and maintenance."""

import re
from datetime import UTC, datetime, time
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from monitor.settings.routes import MatcherText
from monitor.settings.section import Section

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


def _moment(value: Any) -> Any:
    """Read a moment; one without an offset would be somebody's guess."""
    if isinstance(value, datetime):
        return value
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(
            f'{str(value)[:40]!r} is no moment: write it like "2026-11-26T22:00+08:00"'
        )
    return found.astimezone(UTC)


def _clock(value: Any) -> Any:
    if isinstance(value, time):
        return value
    found = _CLOCK.fullmatch(str(value))
    if found is None:
        raise ValueError(f'{str(value)[:20]!r} is no time: write it like "22:00"')
    return time(int(found[1]), int(found[2]))


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(
            f"{name[:40]!r} is no time zone: write it like Asia/Shanghai"
        ) from None
    return name


Moment = Annotated[datetime, BeforeValidator(_moment)]
Clock = Annotated[time, BeforeValidator(_clock)]
Zone = Annotated[str, AfterValidator(_zone)]
Said = Annotated[str, Field(max_length=256)]
Matchers = Annotated[tuple[MatcherText, ...], Field(min_length=1)]


class SilenceSettings(Section):
    """What matches is told to nobody until then."""

    match: Matchers
    """Matchers as in ``routes``; all must match."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    """Null: from the beginning."""

    until: Moment
    author: Said = ""
    comment: Said = ""


class MaintenanceSettings(Section):
    """What matches is told to nobody in this window, which comes again and again."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
    match: Matchers

    days: tuple[Literal[DAYS], ...] = DAYS  # type: ignore[valid-type]
    """Of the beginning of the window, by the clock of *timezone*."""

    from_: Annotated[Clock, Field(alias="from")] = time(0)

    to: Clock = time(0)
    """Not after ``from``: on the next day."""

    timezone: Zone = "UTC"
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    comment: Said = ""

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if not self.days:
            raise ValueError("must have at least one of days")
        return self
