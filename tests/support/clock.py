"""The date of the tests: a fixed morning, moved on by the event loop's clock."""

from datetime import UTC, datetime, timedelta
from typing import Final

import anyio

MORNING: Final = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def now() -> datetime:
    return MORNING + timedelta(seconds=anyio.current_time())


def middling() -> float:
    """Luck that makes no jitter where jitter goes both ways."""
    return 0.5
