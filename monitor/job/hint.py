"""How long a source that throttles us wants to be left alone, and what is left us."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from msgspec import Struct

from monitor.core.rate import Quota

_UNITS: Final = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_FREQUENCY: Final = re.compile(
    r"\[([0-9]{1,9})/([0-9]{0,4}) ?(second|minute|hour|day)s?\]", re.IGNORECASE
)

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


class Frequency(Struct, frozen=True):
    """So many requests in a window of so many seconds."""

    limit: int
    window: float

    @property
    def pause(self) -> timedelta:
        """How long to leave a window alone that is used up, nobody knows since when."""
        return timedelta(seconds=min(60.0, max(1.0, self.window / 12)))


def frequency(message: str) -> Frequency | None:
    """Read the limit of the bus out of its words: "[1000/1minute]".

    Source: legacy-bk-paas esb/ratelimit/validators.py, read 2026-11.
    """
    found = _FREQUENCY.search(message)
    if found is None:
        return None
    limit, count, unit = int(found[1]), int(found[2] or 1), found[3].lower()
    window = count * _UNITS[unit]
    return Frequency(limit, window) if limit and window else None


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
