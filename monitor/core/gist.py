"""What lists show of a state without looking into it: to sort, filter and count by."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from monitor.core.model import Snapshot
from monitor.core.state import State
from monitor.core.watch import Severity


class Subject(StrEnum):
    """What a key names."""

    INSTANCE = "instance"
    SCOPE = "scope"
    SOURCE = "source"


RANKS: Final = {Severity.WARNING: 1, Severity.CRITICAL: 2}
"""How bad, in columns that are sorted by; 0: nothing is wrong."""


class Gist(Struct, frozen=True, kw_only=True):
    """*rank* is that of the worst alert, *since* when the first began to hold.

    *failed* of *hosts* hosts have failed and not recovered, each in each of its steps.
    """

    subject: Subject
    name: str = ""
    status: int | None = None
    rank: int = 0
    since: datetime | None = None
    failed: int = 0
    hosts: int = 0


def of(state: State) -> Gist:
    alerts = state.alerts.values()
    known = state.snapshot
    return Gist(
        subject=subject(state.key),
        name=known.name if known else "",
        status=known.status if known else None,
        rank=max((RANKS[alert.severity] for alert in alerts), default=0),
        since=min((alert.since for alert in alerts), default=None),
        failed=_failed(known) if known else 0,
        hosts=sum(len(step.hosts) for step in known.steps) if known else 0,
    )


def subject(key: str) -> Subject:
    match key.count("/"):
        case 0:
            return Subject.SOURCE
        case 2:
            return Subject.SCOPE
        case _:
            return Subject.INSTANCE


def _failed(known: Snapshot) -> int:
    return sum(len(step.failures) for step in known.steps)
