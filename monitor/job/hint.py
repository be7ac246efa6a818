"""How long a source that throttles us wants to be left alone, and what is left us."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from monitor.core.rate import Quota

CEILING: Final = timedelta(hours=1)
"""No header may blind us for longer."""


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read ``Retry-After`` and ``X-Bkapi-RateLimit-Reset``; the longer one counts."""
    hints = [_asked(headers), _reset(headers)]
    return max((hint for hint in hints if hint is not None), default=None)


def quota(headers: Mapping[str, str]) -> Quota | None:
    """Read what a gateway says about its limit, on good answers as on bad ones."""
    # Source: blueking-apigateway-apisix bk-rate-limit/init.lua, read 2026-11: sent
    # wherever a limit is configured (show_limit_quota_header).
    if "X-Bkapi-RateLimit-Limit" not in headers:
        return None

    limit = _count(headers["X-Bkapi-RateLimit-Limit"])
    remaining = _count(headers.get("X-Bkapi-RateLimit-Remaining", ""))
    left = _seconds(headers.get("X-Bkapi-RateLimit-Reset", ""))
    if limit is None or remaining is None or left is None:
        return None

    return Quota(limit, remaining, left.total_seconds())


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
    count = _count(value)
    return None if count is None else min(timedelta(seconds=count), CEILING)


def _count(value: str) -> int | None:
    digits = value.strip()
    fit = digits.isascii() and digits.isdecimal() and len(digits) <= 9
    return int(digits) if fit else None


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
