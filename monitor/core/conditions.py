"""What is wrong with an instance, by the answers of JOB and by the time.

Pure functions of what was known before, what is known now and how long it has been
so (``overtime``): ``alerts.settled`` makes of them what was raised, changed or
resolved.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import structs

from monitor.core import codes, overtime
from monitor.core.alerts import Alert, Held, Name, Stage
from monitor.core.codes import Meaning
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.overtime import Course
from monitor.core.policy import PAST_RUNS, USUAL, Policy
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity

_NOT_BEGUN: Final = 1


def holding(
    held: Held,
    before: Snapshot | None,
    after: Snapshot,
    course: Course,
    policy: Policy = USUAL,
) -> Iterator[Alert]:
    """List what is wrong with an instance, counting what is newly so.

    A job that runs again after a failure has not recovered yet: ``job_failed`` holds
    until a finished status says better.
    """
    known = {step.step_instance_id: step for step in before.steps} if before else {}
    for step in after.steps:
        if step.failures:
            alert = _hosts_failed(known.get(step.step_instance_id), step, course.now)
            stage = _stage(step, held.get(alert.id))
            severity = policy.severity_of(stage)
            yield structs.replace(alert, stage=stage, severity=severity)

    if after.outcome is not None and _failed(after.outcome):
        yield Alert(
            name=Name.JOB_FAILED,
            severity=policy.severity_of(Name.JOB_FAILED, after.outcome),
            since=course.now,
            status=after.outcome,
            occasions=int(before is None or _failed_anew(before, after)),
        )
    for alert in _quieter(held, before, after, course, policy):
        severity = policy.severity_of(alert.name)
        yield structs.replace(alert, severity=severity, occasions=0)


def _quieter(
    held: Held,
    before: Snapshot | None,
    after: Snapshot,
    course: Course,
    policy: Policy,
) -> Iterator[Alert]:
    """List what is no failure, and yet no success; of it there is nothing to count."""
    if after.finished:
        yield from _unfinished(held, before, after, course)
        return
    yield from (a for a in held.values() if a.name is Name.HOSTS_UNFINISHED)
    yield from _waiting(after, course.now)
    if overtime.is_stalled(held, after, course, policy.stalled_after):
        yield _exceeded(Name.JOB_STALLED, course.now, policy.stalled_after)
    limit = overtime.overdue(held, course, policy)
    if limit is not None:
        overdue = _exceeded(Name.JOB_OVERDUE, course.now, limit)
        reason = PAST_RUNS if policy.learnt else ""
        yield structs.replace(overdue, reason=reason)


def _exceeded(name: Name, now: datetime, limit: timedelta) -> Alert:
    return Alert(name=name, severity=Severity.WARNING, since=now, limit=limit)


def _hosts_failed(before: Step | None, after: Step, now: datetime) -> Alert:
    known = before.failures.keys() if before else frozenset()
    latest = max(failure.execute_count for failure in after.failures.values())
    return Alert(
        name=Name.HOSTS_FAILED,
        severity=Severity.CRITICAL,
        since=now,
        attempt=Attempt(after.step_instance_id, latest, after.name),
        status=after.status,
        failed=len(after.failures),
        total=len(after.hosts),
        occasions=len(after.failures.keys() - known),
    )


def _stage(step: Step, held: Alert | None) -> Stage:
    """Judge how far a step has come, anew only where it ends.

    Between batches a rolling step leaves "error ignored" for a while (6, 15, 2).
    """
    if step.status == codes.IGNORED:
        return Stage.HIDDEN
    if codes.run(step.status).finished:
        return Stage.FINAL
    return (held and held.stage) or Stage.EARLY


def _failed(status: int) -> bool:
    code = codes.run(status)
    return code.finished and code.meaning is Meaning.FAILED


def _failed_anew(before: Snapshot, after: Snapshot) -> bool:
    """Tell whether this is another failed end, be it that the run was not seen.

    A later attempt alone proves no end: a torn answer may show the job as it was
    and its step as it is. A host that failed again in a later attempt does.
    """
    if not after.finished or before.status != after.status:
        return after.finished
    known = {step.step_instance_id: step.failures for step in before.steps}
    return any(
        _again(known.get(step.step_instance_id, {}), step.failures)
        for step in after.steps
    )


def _again(known: Mapping[HostId, Failure], now: Mapping[HostId, Failure]) -> bool:
    both = known.keys() & now.keys()
    return any(now[host].execute_count > known[host].execute_count for host in both)


def _waiting(after: Snapshot, now: datetime) -> Iterator[Alert]:
    """Give an alert for each step that waits: another step is another request."""
    if not after.awaits_person:
        return
    alert = Alert(name=Name.JOB_WAITING, severity=Severity.WARNING, since=now)
    waiting = [step for step in after.steps if codes.needs_person(step.status)]
    for step in waiting:
        yield structs.replace(alert, attempt=_attempt(step))
    if not waiting:
        yield alert


def left_unfinished(step: Step) -> frozenset[HostId]:
    """Name the hosts that JOB says are under way; of stale ones it says nothing.

    A step that never began has hosts that wait as well, and nobody misses them.
    """
    if step.status == _NOT_BEGUN:
        return frozenset()
    return frozenset(
        host
        for host, status in step.hosts.items()
        if status in codes.HOSTS_UNFINISHED and host not in step.stale
    )


def _unfinished(
    held: Held, before: Snapshot | None, after: Snapshot, course: Course
) -> Iterator[Alert]:
    """Give an alert for each step that is over without all of its hosts.

    JOB writes hosts, steps and job one after the other, so that a first finished
    answer may be torn: a second one must say the same of a host.
    """
    ended = before.steps if before and before.finished and course.whole else ()
    known = {_attempt(step): left_unfinished(step) for step in ended}
    for step in after.steps:
        left = left_unfinished(step)
        alert = Alert(
            name=Name.HOSTS_UNFINISHED,
            severity=Severity.WARNING,
            since=course.now,
            attempt=_attempt(step),
            unfinished=len(left),
            total=len(step.hosts),
        )
        if left and (alert.id in held or left & known.get(_attempt(step), _NOBODY)):
            yield alert


_NOBODY: Final = frozenset[HostId]()


def _attempt(step: Step) -> Attempt:
    return Attempt(step.step_instance_id, step.execute_count, step.name)


def next_at(
    held: Held, after: Snapshot, course: Course, policy: Policy = USUAL
) -> datetime | None:
    """Say when something may be wrong even if the next answer is the same."""
    if after.finished:
        unsure = any(
            f"{Name.HOSTS_UNFINISHED}/{step.step_instance_id}" not in held
            for step in after.steps
            if left_unfinished(step)
        )
        return course.now if unsure else None
    return min(overtime.deadlines(held, after, course, policy), default=None)
