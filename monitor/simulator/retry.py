"""What a user's "retry the failed hosts" does to an instance, in JOB's own order.

No transaction spans the job, its steps and their rows, and the status API reads
them one after the other: what lies between two writes can be seen, and here is
shown for a whole beat each.
"""

from typing import Final

from msgspec.structs import replace

from monitor.simulator.timeline import (
    ABNORMAL,
    FAILED,
    RUNNING,
    STOPPED,
    SUCCESS,
    WAITING,
    Moment,
    Row,
    Step,
)

# bk-job TaskExecuteServiceImpl#doStepOperation
RETRYABLE: Final = frozenset({FAILED, ABNORMAL, STOPPED})

_HOST_WAITING, _HOST_RUNNING, _HOST_SUCCESS = 5, 7, 9


class NotRetryableError(ValueError):
    """Only an instance that failed, broke or was stopped can be retried."""


def retried(moment: Moment) -> list[Moment]:
    """List what follows when the failed hosts of *moment* run again and succeed.

    First the step keeps its old status under the new execute_count with no rows
    at all; then it runs with rows 9 (carried over) and 5; then 7; then all is well.

    Raises:
        NotRetryableError: nothing in *moment* can be retried.
    """
    where = _failed_step(moment)
    step = moment.steps[where]
    again = replace(step, execute_count=step.execute_count + 1, rows=())
    acts = [
        # The handler has not come round yet: count + 1, rows of the new attempt
        # not inserted (bk-job GseStepEventHandler).
        again,
        replace(again, status=RUNNING, rows=_rows(step, _HOST_WAITING)),
        replace(again, status=RUNNING, rows=_rows(step, _HOST_RUNNING)),
    ]
    played = [
        replace(moment, status=RUNNING, steps=_with_step(moment, where, act))
        for act in acts
    ]
    return [*played, _recovered(moment, where, again)]


def _failed_step(moment: Moment) -> int:
    if moment.status in RETRYABLE:
        for number, step in enumerate(moment.steps):
            if step.status in RETRYABLE:
                return number
    raise NotRetryableError(f"an instance in status {moment.status} cannot be retried")


def _rows(step: Step, failed_become: int) -> tuple[Row, ...]:
    # Since 3.6 a host that succeeded is carried over as 9 (before: 3). Of the others
    # the tag stays, for it is not reset (bk-job, redo of a GSE task).
    return tuple(
        row if row.status == _HOST_SUCCESS else Row(row.host, failed_become, row.tag)
        for row in step.rows
    )


def _with_step(moment: Moment, where: int, step: Step) -> tuple[Step, ...]:
    return (*moment.steps[:where], step, *moment.steps[where + 1 :])


def _recovered(moment: Moment, where: int, again: Step) -> Moment:
    """Finish the job; steps that never began succeed in the same breath."""
    rows = _rows(moment.steps[where], _HOST_SUCCESS)
    done = replace(again, status=SUCCESS, rows=rows)
    steps = tuple(
        replace(step, status=SUCCESS, rows=rows) if step.status == WAITING else step
        for step in _with_step(moment, where, done)
    )
    return replace(moment, status=SUCCESS, steps=steps)
