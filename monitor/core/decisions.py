"""What is kept of every decision about who is told: the reasons, for ``explain``.

Stored, so it may only gain fields, each with a default.
"""

from datetime import datetime
from typing import Final

from msgspec import Struct

CASES: Final = 20
"""Cases of one decision that are kept."""


class CaseDecision(Struct, frozen=True):
    """*reason* is empty where nothing stood in the way.

    Of a message about many groups, *id* is the name of one of them.
    """

    id: str
    reason: str = ""
    detail: str = ""


class Decision(Struct, frozen=True, kw_only=True):
    """About one sink. *notification*: the id under which it was told, if it was."""

    sink: str
    reason: str
    detail: str = ""
    route: str = ""
    notification: str = ""
    until: datetime | None = None
    cases: tuple[CaseDecision, ...] = ()
    omitted: int = 0


class Verdict(Struct, frozen=True, kw_only=True):
    """One look at one group. *sequence*: the last event that was known of it."""

    group: str
    at: datetime
    sequence: int = 0
    decisions: tuple[Decision, ...] = ()

    @property
    def gist(self) -> tuple[tuple[object, ...], ...]:
        """What makes it another than the last one: not when it is looked at again."""
        return tuple(
            (d.sink, d.reason, d.detail, d.route, d.notification, d.cases)
            for d in self.decisions
        )
