"""What is wrong with an instance, as far as an answer of JOB tells.

Pure functions of what was known before and what is known now: ``alerts.settled``
makes of them what was raised, changed or resolved.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from monitor.core import codes
from monitor.core.alerts import Alert, Name
from monitor.core.codes import Meaning
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity

STOPPING: Final = 10

_JOB_WARNINGS: Final = frozenset({8, 11, 13})


def holding(
    before: Snapshot | None,
    after: Snapshot,
    now: datetime,
    *,
    severity: Severity | None = None,
) -> Iterator[Alert]:
    """List what is wrong with an instance, counting what is newly so.

    *severity* overrides the usual one. A job that runs again after a failure has
    not recovered yet: ``job_failed`` holds until a finished status says better.
    """
    known = {step.step_instance_id: step for step in before.steps} if before else {}
    for step in after.steps:
        if step.failures:
            yield _hosts_failed(known.get(step.step_instance_id), step, now, severity)

    if after.outcome is not None and _failed(after.outcome):
        usual = Severity.WARNING if after.outcome in _JOB_WARNINGS else None
        yield Alert(
            name=Name.JOB_FAILED,
            severity=severity or usual or Severity.CRITICAL,
            since=now,
            status=after.outcome,
            occasions=int(before is None or _failed_anew(before, after)),
        )
    yield from _waiting(after, now, severity or Severity.WARNING)


def _hosts_failed(
    before: Step | None, after: Step, now: datetime, severity: Severity | None
) -> Alert:
    known = before.failures.keys() if before else frozenset()
    latest = max(failure.execute_count for failure in after.failures.values())
    hidden = after.status == 6
    return Alert(
        name=Name.HOSTS_FAILED,
        severity=severity or (Severity.WARNING if hidden else Severity.CRITICAL),
        since=now,
        attempt=Attempt(after.step_instance_id, latest, after.name),
        status=after.status,
        failed=len(after.failures),
        total=len(after.hosts),
        occasions=len(after.failures.keys() - known),
    )


def _failed(status: int) -> bool:
    code = codes.run(status)
    return code.finished and code.meaning is codes.Meaning.FAILED


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


def waits_for_a_person(snapshot: Snapshot) -> bool:
    """Tell whether the job goes on only once somebody acts.

    While it is being stopped nobody can: a step that waited for a confirmation
    stays as it was, perhaps for ever. Source: bk-job ConfirmStepEventHandler,
    which has no branch for a stop, read 2026-11.
    """
    if snapshot.finished or snapshot.status == STOPPING:
        return False
    return _needs_person(snapshot.status) or any(
        _needs_person(step.status) for step in snapshot.steps
    )


def _needs_person(status: int) -> bool:
    return codes.run(status).meaning is Meaning.NEEDS_PERSON


def _waiting(after: Snapshot, now: datetime, severity: Severity) -> Iterator[Alert]:
    """Give an alert for each step that waits: another step is another request."""
    if not waits_for_a_person(after):
        return
    waiting = [step for step in after.steps if _needs_person(step.status)]
    for step in waiting or (None,):
        attempt = (
            Attempt(step.step_instance_id, step.execute_count, step.name)
            if step
            else None
        )
        yield Alert(
            name=Name.JOB_WAITING,
            severity=severity,
            since=now,
            attempt=attempt,
            occasions=0,
        )
