"""Messages about a job that there never was: to try sinks and templates with.

They are written as all others are, and say that they are a test. The addresses are
kept for examples. Source: RFC 5737.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from monitor.core import events, notifications, transitions
from monitor.core.alerts import Alert, Name
from monitor.core.clusters import Tail
from monitor.core.message import Message
from monitor.core.model import Failure, HostId, InstanceKey, Snapshot, Step, host_id
from monitor.core.notifications import View
from monitor.core.telling import Case, Ended, Heard, Speak, Why
from monitor.core.transitions import Attempt, Transition
from monitor.core.watch import Severity
from monitor.core.wording import Frame

SOURCE: Final = "test"
NAMES: Final = {
    "en": "This is a test of Job Monitor; nothing is wrong",
    "zh-CN": "这是 Job Monitor 的测试消息，一切正常",
}
LOG: Final = "cp: cannot create '/data/release.tar': No space left on device"

_FAILED, _ENDED_WELL = 4, 3
_SUCCEEDED, _SCRIPT_FAILED = 9, 104
_TOOK: Final = timedelta(minutes=3)


def notifications_of(sink: str, now: datetime, locale: str = "en") -> list[Message]:
    """Write that a job failed on two hosts, and that it is over."""
    frame = _frame(sink, now, locale)
    step, again = _step(), _retried()
    alert = Alert(
        name=Name.HOSTS_FAILED,
        severity=Severity.WARNING,
        since=now,
        attempt=_attempt(step),
        status=_FAILED,
        failed=len(step.failures),
        total=len(step.hosts),
    )
    tails = {step.step_instance_id: dict.fromkeys(step.failures, Tail(0, LOG))}
    views = [
        View(frame=frame, snapshot=_snapshot(step, now, locale), tails=tails),
        View(frame=frame, snapshot=_snapshot(again, now, locale)),
    ]
    heard = Heard(now, alert.severity, alert.occasions, alert.failed, alert.attempt)
    said = (
        Speak(Why.FIRST, (Case(id=alert.id, key=frame.key, alert=alert),)),
        Speak(Why.RESOLVED, (), (Ended(alert.id, heard),)),
    )
    return [
        _written(frame, view, speak, number, now)
        for number, (view, speak) in enumerate(zip(views, said, strict=True), 1)
    ]


def _written(
    frame: Frame, view: View, speak: Speak, number: int, now: datetime
) -> Message:
    return notifications.build(
        frame, lambda _: view, speak, number=number, last_sequence=0, now=now
    )


def event(sink: str, now: datetime, locale: str = "en") -> Message:
    """Write that hosts failed."""
    step = _step()
    change = Transition(
        kind=transitions.Kind.HOSTS_FAILED,
        attempt=_attempt(step),
        hosts={host: failure.status for host, failure in step.failures.items()},
    )
    frame = _frame(sink, now, locale)
    happened = events.of_transitions(frame, _snapshot(step, now, locale), [change])
    [written] = events.recorded(frame, happened, after=0, now=now)
    return written


def _frame(sink: str, now: datetime, locale: str) -> Frame:
    # Another number each time: receivers leave out ids that they know.
    key = InstanceKey(SOURCE, "biz", "1", int(now.timestamp()))
    labels: Mapping[str, str] = {"test": "true", "sink": sink}
    return Frame(
        source=SOURCE,
        key=str(key),
        subject=key.subject,
        instance=key,
        labels=labels,
        locale=locale,
    )


def _step() -> Step:
    failed = [host_id(f"192.0.2.{last}", 0) for last in (1, 2)]
    well = [host_id(f"192.0.2.{last}", 0) for last in range(3, 11)]
    hosts: dict[HostId, int] = dict.fromkeys(failed, _SCRIPT_FAILED)
    return Step(
        step_instance_id=1,
        status=_FAILED,
        name="test",
        hosts=hosts | dict.fromkeys(well, _SUCCEEDED),
        failures={host: Failure(_SCRIPT_FAILED, 0, exit_code=1) for host in failed},
    )


def _retried() -> Step:
    first = _step()
    hosts = dict.fromkeys(first.hosts, _SUCCEEDED)
    return structs.replace(
        first, status=_ENDED_WELL, execute_count=1, hosts=hosts, failures={}
    )


def _attempt(step: Step) -> Attempt:
    return Attempt(step.step_instance_id, step.execute_count, step.name)


def _snapshot(step: Step, now: datetime, locale: str) -> Snapshot:
    return Snapshot(
        status=step.status,
        name=NAMES.get(locale, NAMES["en"]),
        started_at=now - _TOOK,
        ended_at=now,
        steps=(step,),
        outcome=step.status,
    )
