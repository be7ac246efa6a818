"""How long a source that throttles us wants to be left alone."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

CEILING: Final = timedelta(hours=1)
"""No header may blind us for longer."""


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read ``Retry-After`` and ``X-Bkapi-RateLimit-Reset``; the longer one counts."""
    hints = [_asked(headers), _reset(headers)]
    return max((hint for hint in hints if hint is not None), default=None)


def _reset(headers: Mapping[str, str]) -> timedelta | None:
    # The gateway sends the seconds left of its window and no Retry-After; 0 means
    # that the window ends within this second.
    # Source: blueking-apigateway-apisix bk-rate-limit/init.lua, read 2026-11.
    left = _seconds(headers.get("X-Bkapi-RateLimit-Reset", ""))
    return None if left is None else max(timedelta(seconds=1), left)


def _asked(headers: Mapping[str, str]) -> timedelta | None:
    value = headers.get("Retry-After", "")
    seconds = _seconds(value)
    return _until(value, headers.get("Date", "")) if seconds is None else seconds


def _seconds(value: str) -> timedelta | None:
    digits = value.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9):
        return None

    return min(timedelta(seconds=int(digits)), CEILING)


def _until(moment: str, sent: str) -> timedelta | None:
    # Both dates are the server's own, so that our clock plays no part.
    try:
        wait = _date(moment) - _date(sent)
    except (ValueError, OverflowError):
        return None

    return min(max(wait, timedelta()), CEILING)


def _date(value: str) -> datetime:
    date = parsedate_to_datetime(value)
    return date if date.tzinfo else date.replace(tzinfo=UTC)
