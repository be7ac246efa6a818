"""What is wrong now: alerts are levels, not edges.

``conditions.holding`` says what holds for an instance; ``settled`` compares that with the
alerts held so far and names what was raised, changed or resolved. Whether anybody
is told is another question (``telling``).
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from monitor.core.transitions import Attempt
from monitor.core.watch import Severity


class Name(StrEnum):
    """In the order in which messages list them, failed hosts first."""

    HOSTS_FAILED = "hosts_failed"
    JOB_FAILED = "job_failed"
    HOSTS_UNFINISHED = "hosts_unfinished"
    JOB_WAITING = "job_waiting"
    JOB_STALLED = "job_stalled"
    JOB_OVERDUE = "job_overdue"
    JOB_GONE = "job_gone"
    JOB_REFUSED = "job_refused"
    SOURCE_LOST = "source_lost"


class Stage(StrEnum):
    """How far the step of failed hosts had come when it was last judged.

    *HIDDEN*: its errors were ignored, so that the job may succeed all the same.
    """

    EARLY = "early"
    FINAL = "final"
    HIDDEN = "hidden"


class Kind(StrEnum):
    """The values are the public event types."""

    RAISED = "bkjob.alert.raised"
    CHANGED = "bkjob.alert.changed"
    RESOLVED = "bkjob.alert.resolved"


class Alert(Struct, frozen=True, kw_only=True):
    """*attempt* is the latest in which one of its hosts failed.

    *occasions* counts every worsening since it was raised: each host that had not
    failed so far, and each new failed end of the job. It never falls, so that
    comparing two of them tells whether things became worse in between, whatever
    else became better. *unfinished* counts hosts that were left so, *limit* is the
    time that was exceeded.
    """

    name: Name
    severity: Severity
    since: datetime
    attempt: Attempt | None = None
    status: int | None = None
    failed: int = 0
    total: int = 0
    occasions: int = 1
    reason: str = ""
    unfinished: int = 0
    limit: timedelta | None = None
    stage: Stage | None = None

    @property
    def id(self) -> str:
        """Unique among the alerts of one instance, scope or source."""
        step = f"/{self.attempt.step_instance_id}" if self.attempt else ""
        return f"{self.name}{step}"


class Change(Struct, frozen=True, kw_only=True):
    """What a person cares about: that something is wrong, how wrong, and its end.

    *reason* says why an alert ended where no recovery was seen.
    """

    kind: Kind
    alert: Alert
    reason: str = ""


Held = Mapping[str, Alert]

UNWATCHED: Final = "unwatched"


def settled(
    held: Held, holding: Iterable[Alert], *, why_ended: str = ""
) -> tuple[Held, tuple[Change, ...]]:
    """Compare the alerts *held* with those *holding* now.

    Gives the alerts to hold from now on, and the changes: raised and changed in
    the order of *holding*, then resolved. An alert is changed where its severity,
    the number of its failed or unfinished hosts, the attempt in which they failed
    or its occasions are other than they were. A retry that has not failed so far, another
    status of the step and more hosts in all are taken in without a change: they
    have events of their own.
    """
    after: dict[str, Alert] = {}
    changes: list[Change] = []
    for alert in holding:
        before = held.get(alert.id)
        after[alert.id] = now_held = _continued(before, alert)
        if before is None:
            changes.append(Change(kind=Kind.RAISED, alert=now_held))
        elif _news(before) != _news(now_held):
            changes.append(Change(kind=Kind.CHANGED, alert=now_held))
    ended = [alert for id_, alert in held.items() if id_ not in after]
    changes += [Change(kind=Kind.RESOLVED, alert=a, reason=why_ended) for a in ended]
    return after, tuple(changes)


def _news(alert: Alert) -> tuple[object, ...]:
    hosts = alert.failed, alert.unfinished
    return alert.severity, hosts, alert.occasions, alert.attempt


def _continued(before: Alert | None, alert: Alert) -> Alert:
    if before is None:
        return structs.replace(alert, occasions=max(1, alert.occasions))
    occasions = before.occasions + alert.occasions
    return structs.replace(alert, since=before.since, occasions=occasions)
