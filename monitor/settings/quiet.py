"""What may be configured about when to be quiet: silences and maintenance."""

from datetime import datetime, time
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from monitor.core import quiet
from monitor.settings.routes import MatcherText
from monitor.settings.section import Section


def _moment(value: Any) -> Any:
    """Read a moment; one without an offset would be somebody's guess."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(
            f'{str(value)[:40]!r} is no moment: write it like "2026-11-26T22:00+08:00"'
        )
    return quiet.in_utc(found)


def _clock(value: Any) -> Any:
    return value if isinstance(value, time) else quiet.read_clock(str(value))


Moment = Annotated[datetime, BeforeValidator(_moment)]
Clock = Annotated[time, BeforeValidator(_clock)]
Zone = Annotated[str, AfterValidator(quiet.read_zone)]
Said = Annotated[str, Field(max_length=256)]
Matchers = Annotated[tuple[MatcherText, ...], Field(min_length=1)]


class SilenceSettings(Section):
    """What matches is told to nobody until then."""

    match: Matchers
    """Matchers as in ``routes``; all must match."""

    from_: Annotated[Moment | None, Field(alias="from")] = None
    """Null: from the beginning."""

    until: Moment
    """When it ends. A moment needs its offset."""

    author: Said = ""
    """Who says so, for those who ask why nobody was told."""

    comment: Said = ""
    """Why."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        quiet.check_order(self.from_, self.until)
        return self


class MaintenanceSettings(Section):
    """What matches is told to nobody in this window, which comes again and again."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)]
    """How ``explain`` and the command line call it."""

    match: Matchers
    """Matchers as in ``routes``; all must match."""

    days: tuple[Literal[quiet.DAYS], ...] = quiet.DAYS  # type: ignore[valid-type]
    """Of the beginning of the window, by the clock of *timezone*."""

    from_: Annotated[Clock, Field(alias="from")] = time(0)
    """When it begins, by the clock of *timezone*."""

    to: Clock = time(0)
    """When it ends; not after ``from``: on the next day."""

    timezone: Zone = "UTC"
    """Whose clock counts."""

    starts_at: Moment | None = None
    """No window before this; null: from the beginning."""

    ends_at: Moment | None = None
    """None after this; null: for ever."""

    comment: Said = ""
    """Why."""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> Self:
        quiet.check_order(self.starts_at, self.ends_at)
        return self

    @model_validator(mode="after")
    def _has_days(self) -> Self:
        if not self.days:
            raise ValueError("must have at least one of days")
        return self
