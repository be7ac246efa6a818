"""Moments as people type them: how long ago, or a date and a time."""

from datetime import datetime, timedelta

import typer

from monitor import clock, durations


def ago(text: str) -> datetime:
    """Read ``2h`` (ago) or ``2026-11-27T08:00`` (here, if it names no zone)."""
    length = _length(text)
    return written(text) if length is None else clock.utc_now() - length


def written(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone()
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
