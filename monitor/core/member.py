"""What telling must know of one instance, scope or source, without its hosts.

Read from the same row as ``State``: a group may have thousands of members.
"""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from monitor.core import codes
from monitor.core.alerts import Alert
from monitor.core.model import Snapshot
from monitor.core.state import Phase, State


class Brief(Struct, frozen=True, kw_only=True):
    """Of a snapshot."""

    status: int
    name: str = ""
    plan_id: int | None = None
    outcome: int | None = None

    @property
    def finished(self) -> bool:
        return codes.run(self.status).finished


class Member(Struct, frozen=True, kw_only=True):
    """*flips*: when it last went from well to not well, or back."""

    key: str
    sequence: int = 0
    phase: Phase = Phase.WATCHED
    snapshot: Brief | None = None
    alerts: Mapping[str, Alert] = {}
    finished_at: datetime | None = None
    flips: tuple[datetime, ...] = ()

    @property
    def runs_again(self) -> bool:
        """Tell whether it ended before and is under way once more."""
        known = self.snapshot
        return known is not None and known.outcome is not None and not known.finished


def of(state: State) -> Member:
    return Member(
        key=state.key,
        sequence=state.sequence,
        phase=state.phase,
        snapshot=_brief(state.snapshot) if state.snapshot else None,
        alerts=state.alerts,
        finished_at=state.finished_at,
        flips=state.flips,
    )


def _brief(snapshot: Snapshot) -> Brief:
    return Brief(
        status=snapshot.status,
        name=snapshot.name,
        plan_id=snapshot.plan_id,
        outcome=snapshot.outcome,
    )
