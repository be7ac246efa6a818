"""What only decorates an answer: it never makes it unusable, whatever its type.

Nothing here raises. What cannot be read is absent, and what is read fits into 64
bits or a line, so that it can be stored and shown.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from monitor.job import text

NAME: Final = 256

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BITS: Final = 2**63


def words(value: object, limit: int = NAME) -> str:
    return text.plain(str(value), limit) if isinstance(value, str | int) else ""


def number(value: object) -> int | None:
    try:
        found = int(value) if isinstance(value, str | int) else None
    except ValueError:
        return None
    return found if found is not None and -_BITS <= found < _BITS else None


def chosen(value: object) -> int | None:
    """Read the id of something optional: -1 stands for none."""
    # Source: bk-job EsbJobInstanceStatusDTO.java and EsbTaskInstanceV3DTO.java,
    # read 2026-11.
    found = number(value)
    return None if found == -1 else found


def moment(value: object) -> datetime | None:
    """Read milliseconds since 1970, as v3 and v4 tell every time."""
    passed = number(value)
    try:
        return (
            _EPOCH + timedelta(milliseconds=passed) if passed and passed > 0 else None
        )
    except OverflowError:
        return None
