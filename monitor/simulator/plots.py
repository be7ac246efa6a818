"""What happens in each of the built-in stories, state by state.

Pure functions from a `Cast` to the moments it goes through. Which hosts fail is a
matter of the cast; what failing looks like, of the plot. None in place of a moment
stands for an instance that has been archived.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from monitor.simulator.retry import retried
from monitor.simulator.timeline import (
    ABNORMAL,
    CONFIRM,
    FAILED,
    FILE,
    IGNORED,
    REFUSED,
    ROLLING_WAITING,
    RUNNING,
    STOPPED,
    STOPPING,
    SUCCESS,
    WAITING,
    WAITING_USER,
    Host,
    Moment,
    Row,
    Step,
)

Moments = Sequence[Moment | None]


class Cast(msgspec.Struct, frozen=True, kw_only=True):
    """The parts, given out: the hosts and the positions of those that fail."""

    hosts: tuple[Host, ...]
    failing: tuple[int, ...]

    def rows(self, *statuses: int) -> tuple[Row, ...]:
        """Give the hosts *statuses* in turn."""
        many = len(statuses)
        return tuple(
            Row(host, statuses[number % many]) for number, host in enumerate(self.hosts)
        )

    def ends(self, *failures: int) -> tuple[Row, ...]:
        """End all hosts with 9, but the failing ones with *failures* in turn."""
        rows = list(self.rows(9))
        for turn, position in enumerate(self.failing):
            rows[position] = Row(rows[position].host, failures[turn % len(failures)])
        return tuple(rows)


def success(cast: Cast) -> Moments:
    return _whole(cast, SUCCESS, cast.rows(9))


def one_ip_fails(cast: Cast) -> list[Moment]:
    return _whole(cast, FAILED, cast.ends(104))


def mixed_failure(cast: Cast) -> Moments:
    return _whole(cast, FAILED, cast.ends(104, 310, 11))


def retry_recovers(cast: Cast) -> Moments:
    failed = one_ip_fails(cast)
    return [*failed, *retried(failed[-1])]


def ignore_error(cast: Cast) -> Moments:
    """A step flagged "ignore error" ends 6; the job goes on and ends 3."""
    ends = cast.ends(104)
    ignored = Step(name="clean up", status=IGNORED, rows=ends)
    later = Step(name="restart")
    first = [
        replace(moment, steps=(*moment.steps, later))
        for moment in _run(cast, ends, Step(name="clean up"))
    ]
    runs = replace(later, status=RUNNING, rows=cast.rows(7))
    done = replace(later, status=SUCCESS, rows=cast.rows(9))
    return [*first, _at(RUNNING, ignored, runs), _at(SUCCESS, ignored, done)]


def manual_confirm(cast: Cast) -> Moments:
    """Refused once (13), restarted, then confirmed; such a step has no rows."""
    script = Step(name="prepare")
    asks = Step(name="may I go on?", kind=CONFIRM)
    before = [
        replace(moment, steps=(*moment.steps, asks))
        for moment in _run(cast, cast.rows(9), script)
    ]
    ready = replace(script, status=SUCCESS, rows=cast.rows(9))
    answers = [
        _at(status, ready, replace(asks, status=status))
        for status in (WAITING_USER, REFUSED, WAITING_USER, SUCCESS)
    ]
    return [*before, *answers]


def force_stop(cast: Cast) -> Moments:
    """Stopped hosts turn 403; one was never dispatched and keeps 5 for ever."""
    undispatched = Row(cast.hosts[-1], 5)
    step = Step(status=STOPPING, rows=(*cast.rows(7)[:-1], undispatched))
    stopped = (*cast.rows(403)[:-1], undispatched)
    return [
        *_run(cast, cast.rows(7), Step())[:3],
        _at(STOPPING, step),
        _at(STOPPED, replace(step, status=STOPPED, rows=stopped)),
    ]


def abnormal(cast: Cast) -> Moments:
    """An exception of the engine leaves the rows as they were."""
    return _whole(cast, ABNORMAL, cast.rows(9, 7))


def rolling_duplicates(cast: Cast) -> Moments:
    """One row per (batch, host), and no field says which batch."""
    first = [replace(row, batch=1) for row in cast.rows(9)]
    again = [Row(cast.hosts[place], 11, batch=2) for place in cast.failing]
    return _whole(cast, FAILED, (*first, *again), kind=FILE)


def rolling(cast: Cast) -> Moments:
    """Three batches, in the mode that ignores errors: 2 → 15 → 2, or 2 → 6 → 15 → 2.

    A batch has no rows before it begins; the job stays 2 in between.
    """
    step = Step(name="roll out")
    moments = [_at(WAITING, step)]
    done: tuple[Row, ...] = ()
    for batch in _batches(cast.ends(104)):
        runs = (*done, *_all(batch, 7))
        done = (*done, *batch)
        moments.append(_at(RUNNING, replace(step, status=RUNNING, rows=runs)))
        if any(row.status != 9 for row in batch):
            moments.append(_at(RUNNING, replace(step, status=IGNORED, rows=done)))
        moments.append(_at(RUNNING, replace(step, status=ROLLING_WAITING, rows=done)))
    # No wait follows the last batch, and what it ends with is the end of the step.
    over = IGNORED if cast.failing else SUCCESS
    while moments[-1].steps[0].status != RUNNING:
        moments.pop()
    return [*moments, _at(SUCCESS, replace(step, status=over, rows=done))]


def _batches(rows: Sequence[Row]) -> Iterator[tuple[Row, ...]]:
    size = -(-len(rows) // 3)
    for number, begin in enumerate(range(0, len(rows), size), 1):
        batch = rows[begin : begin + size]
        yield tuple(replace(row, batch=number) for row in batch)


def _all(rows: Sequence[Row], status: int) -> tuple[Row, ...]:
    return tuple(replace(row, status=status) for row in rows)


def archived(cast: Cast) -> Moments:
    return [*success(cast), None]


def huge(cast: Cast) -> Moments:
    running = _at(RUNNING, Step(status=RUNNING, rows=cast.rows(7)))
    return [running, _at(SUCCESS, Step(status=SUCCESS, rows=cast.rows(9)))]


def legacy_waiting(cast: Cast) -> Moments:
    """Long enough at 7 for a client to believe what the old flag says."""
    script = Step(name="prepare", status=SUCCESS, rows=cast.rows(9))
    asks = Step(name="may I go on?", kind=CONFIRM)
    waits = _at(WAITING_USER, script, replace(asks, status=WAITING_USER))
    done = _at(SUCCESS, script, replace(asks, status=SUCCESS))
    return [_at(RUNNING, script, asks), waits, waits, waits, done]


def hang(cast: Cast) -> Moments:
    return _run(cast, cast.rows(9), Step())[:3]


def _run(cast: Cast, ends: tuple[Row, ...], step: Step) -> list[Moment]:
    """Run the only *step* up to the point where some hosts are at their end."""
    some = tuple(
        row if number % 2 == 0 or row.status != 9 else Row(row.host, 7)
        for number, row in enumerate(ends)
    )
    return [
        _at(WAITING, step),
        # Rows are inserted before the step turns 2 (bk-job, GseStepEventHandler).
        _at(RUNNING, replace(step, rows=cast.rows(5))),
        _at(RUNNING, replace(step, status=RUNNING, rows=cast.rows(7))),
        _at(RUNNING, replace(step, status=RUNNING, rows=some)),
    ]


def _at(status: int, *steps: Step) -> Moment:
    return Moment(status=status, steps=steps)


def _whole(
    cast: Cast, status: int, ends: tuple[Row, ...], *, kind: int = 1
) -> list[Moment]:
    step = Step(kind=kind)
    end = _at(status, replace(step, status=status, rows=ends))
    return [*_run(cast, ends, step), end]
