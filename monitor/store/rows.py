"""What stands in the rows: values as MessagePack, moments as seconds since 1970.

Every later version must be able to read it. So whatever is part of a ``State``, a
``Message``, a ``Told``, a ``Verdict``, a ``Subscription``, an ``Entry``, a ``Watch``,
a ``Pause``, a ``Table`` or a ``Report`` may only gain fields, each with a default, and its enums only members;
what shall mean something else takes another name, or a migration.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from monitor import errors
from monitor.core.cluster import Report
from monitor.core.decisions import Verdict
from monitor.core.hazard import Table
from monitor.core.listing import Row as Listed
from monitor.core.lists import Former
from monitor.core.member import Member
from monitor.core.message import Message
from monitor.core.quiet import Entry
from monitor.core.state import State
from monitor.core.subscription import Subscription
from monitor.core.telling import Told
from monitor.core.watch import Pause, Watch

T = TypeVar("T")

Row = dict[str, Any]
"""Column → value."""


@contextmanager
def intact() -> Iterator[None]:
    """Turn what decoding may raise into a StoreError: the row was damaged."""
    try:
        yield
    except (msgspec.MsgspecError, OverflowError, TypeError, ValueError) as error:
        raise errors.StoreError("a damaged row; restore a backup") from error


def _decoder(type_: type[T]) -> Callable[[bytes], T]:
    decode = msgspec.msgpack.Decoder(type_).decode

    def read(body: bytes) -> T:
        with intact():
            return decode(body)

    return read


encode = msgspec.msgpack.Encoder().encode
state = _decoder(State)
message = _decoder(Message)
told = _decoder(Told)
member = _decoder(Member)
verdict = _decoder(Verdict)
subscription = _decoder(Subscription)
watch = _decoder(Watch)
pause = _decoder(Pause)
_report = _decoder(Report)
hazards = _decoder(Table)
page = _decoder(tuple[Listed, ...])
former: Callable[[bytes], tuple[Former, ...]] = _decoder(tuple[Former, ...])
quiet: Callable[[bytes], Entry] = _decoder(Entry)  # type: ignore[arg-type]


def seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def report(body: bytes) -> Report:
    """Read what a daemon says; nothing, where its version says it in another way."""
    try:
        return _report(body)
    except errors.StoreError:
        return Report()
