"""Notifications as the daemon's own core writes them, from what JOB says."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import structs

from monitor.core import notifications, telling
from monitor.core.clusters import Tail, Tails
from monitor.core.message import Message
from monitor.core.model import HostId, Snapshot, host_id
from monitor.core.notifications import View
from monitor.core.telling import Case, Circumstances, Rules, Speak, Told
from monitor.core.wording import Frame
from tests.core.builders import FRAME, hosts, job, step
from tests.core.lives import lived

LOG = "cp: cannot create /data/a1: No space left on device"
RULES = Rules()
LEVEL = Circumstances(level=True)


def failing(count: int = 2, *, name: str = "deploy") -> Snapshot:
    """A job that ended 4: *count* hosts failed in its one step, and one did not."""
    return structs.replace(job(4, step(4, _hosts(count, 104))), name=name)


def recovered(count: int = 2, *, name: str = "deploy") -> Snapshot:
    """The same after a retry that went well."""
    return structs.replace(job(3, step(3, _hosts(count, 9), attempt=1)), name=name)


def _hosts(count: int, code: int) -> dict[HostId, int]:
    many = {host_id(f"10.0.1.{n}", 0): code for n in range(count)}
    return {**hosts(_1=9), **many}


def notified(
    *snapshots: Snapshot, frame: Frame = FRAME, log: str = LOG
) -> list[Message]:
    """List what a sink that keeps a level is told while JOB says this, one by one."""
    return list(_story(snapshots, frame, log))


def _story(snapshots: Sequence[Snapshot], frame: Frame, log: str) -> Iterator[Message]:
    told: Told | None = None
    for number, chapter in enumerate(lived(snapshots), 1):
        alerts = chapter.after.alerts.values()
        known = [Case(id=a.id, key=frame.key, alert=a) for a in alerts]
        cases = sorted(known, key=notifications.rank)
        spoken = telling.decide(cases, told, chapter.now, RULES, LEVEL)
        if isinstance(spoken, Speak):
            told = telling.hearing(spoken, told, chapter.now)
            view = View(
                frame=frame,
                snapshot=chapter.after.snapshot,
                tails=_tails(chapter.after.snapshot, log),
            )
            yield _message(frame, view, spoken, number, chapter.now)


def _message(
    frame: Frame, view: View, spoken: Speak, number: int, now: datetime
) -> Message:
    return notifications.build(
        frame, lambda _: view, spoken, number=number, last_sequence=number, now=now
    )


def _tails(snapshot: Snapshot | None, log: str) -> Tails:
    return {
        each.step_instance_id: {
            host: Tail(failure.execute_count, log)
            for host, failure in sorted(each.failures.items())[:3]
        }
        for each in (snapshot.steps if snapshot and log else ())
    }
