"""The one place that asks what day it is."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251


def seconds() -> float:
    """Count real seconds, from a thread too, whatever the event loop's clock says."""
    return time.monotonic()  # noqa: TID251
