"""Moments as people type them: how long ago, or a date and a time."""

from datetime import datetime, timedelta

import typer

from monitor import clock, durations


def ago(text: str) -> datetime:
    """Read ``2h`` (ago) or ``2026-11-27T08:00`` (here, if it names no zone)."""
    length = _length(text)
    return written(text) if length is None else clock.utc_now() - length


def ahead(text: str) -> datetime:
    """Read ``2h`` (from now on) or ``2026-11-27T08:00`` (here, if it names no zone)."""
    length = _length(text)
    return written(text) if length is None else clock.utc_now() + length


def end(
    for_: str | None, until: str | None, start: datetime | None = None
) -> datetime | None:
    """Read an end that is given in one of two ways; *for_* counts from *start*, or now."""
    if for_ is not None and until is not None:
        raise typer.BadParameter("give --for or --until, not both")
    if for_ is None:
        return None if until is None else ahead(until)
    length = _length(for_)
    if length is None:
        return written(for_)
    try:
        return (start or clock.utc_now()) + length
    except OverflowError:
        raise typer.BadParameter("it would end after the year 9999") from None


def written(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.astimezone()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text[:40]!r} is neither a duration, such as 2h, nor a time, such as"
            " 2026-11-27T08:00 or 2026-11-27T08:00+08:00"
        ) from None


def _length(text: str) -> timedelta | None:
    try:
        return durations.parse(text)
    except ValueError:
        return None
