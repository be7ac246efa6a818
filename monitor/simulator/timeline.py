"""What becomes of an instance: its state as a function of the seconds since it began.

Neutral as to the generation of the API: no field of any answer is named here. A
timeline says what *is*; ``v2`` says how it is put. Equal questions have equal
answers: no luck and no clock.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final

import msgspec

# bk-job RunStatusEnum, of the version that is served today.
WAITING: Final = 1
RUNNING: Final = 2
SUCCESS: Final = 3
FAILED: Final = 4
IGNORED: Final = 6
WAITING_USER: Final = 7
ABNORMAL: Final = 9
STOPPING: Final = 10
STOPPED: Final = 11
REFUSED: Final = 13
ROLLING_WAITING: Final = 15
FINISHED: Final = frozenset({3, 4, 5, 6, 8, 9, 11, 13, 14})
_ENDED: Final = FINISHED | {ROLLING_WAITING}

# bk-job StepExecuteTypeEnum.
SCRIPT: Final = 1
FILE: Final = 2
CONFIRM: Final = 3


# bk-job ExecuteObjectTaskStatusEnum: all others are the end of a row.
ROW_WAITING: Final = 5
ROW_RUNNING: Final = 7
ROW_SUCCESS: Final = 9

# What commonly goes with the status of a row: the exit code of a script (104: not
# zero, 101: zero and failed all the same), and the code of GSE, which is 0 when it
# is done (bk-job GseUtils.java, Consts.java).
_EXITS: Final[Mapping[int, int]] = {9: 0, 101: 0, 104: 1}
_GSE_CODES: Final[Mapping[int, int]] = {
    7: 115,
    303: 120,
    310: 117,
    311: 122,
    312: 1326,
    320: 123,
    321: 119,
    329: 701,
    399: 101,
    403: 126,
}


# No cycles among these, of which there may be hundreds of thousands: gc=False.
class Container(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: int
    container_id: str
    name: str


class Host(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A target: a host, or the *container* that runs on it."""

    ip: str | None = None
    bk_cloud_id: int = 0
    bk_host_id: int = 0
    ipv6: str | None = None
    container: Container | None = None

    @property
    def address(self) -> str:
        """The target as people write it.

        10.0.0.1, or 3:10.0.0.1 in cloud area 3; [2001:db8::1]; container:nginx.
        """
        if self.container is not None:
            return f"container:{self.container.name}"
        ip = f"[{self.ipv6}]" if self.ip is None else self.ip
        return f"{self.bk_cloud_id}:{ip}" if self.bk_cloud_id else ip


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line of a step's host list; a host may have several of them.

    Codes of None: what commonly goes with the status. A log of None: likewise.
    Times, as of steps, are filled in by `dated`.
    """

    host: Host
    status: int
    tag: str = ""
    exit_code: int | None = None
    error_code: int | None = None
    log: str | None = None
    batch: int = 0
    """Of a rolling step, from 1 on; no status API says it."""

    started: float | None = None
    ended: float | None = None

    @property
    def exit(self) -> int | None:
        return _EXITS.get(self.status) if self.exit_code is None else self.exit_code

    @property
    def error(self) -> int:
        if self.error_code is None:
            return _GSE_CODES.get(self.status, 0)
        return self.error_code


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step in its latest attempt; times are seconds since the instance began."""

    status: int = WAITING
    name: str = "run script"
    kind: int = SCRIPT
    execute_count: int = 0
    rows: tuple[Row, ...] = ()
    started: float | None = None
    ended: float | None = None


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """All that JOB would say of an instance between two changes."""

    status: int
    steps: tuple[Step, ...]
    started: float | None = None
    ended: float | None = None


class Frame(msgspec.Struct, frozen=True):
    """From second *at* on, *moment* holds; None: the instance is archived."""

    at: float
    moment: Moment | None


_BEGINNING: Final = attrgetter("at")


class Timeline(msgspec.Struct, frozen=True):
    """Frames in order of time. Made by `dated`, which fills in the times."""

    frames: tuple[Frame, ...]

    def at(self, seconds: float) -> Moment | None:
        return self.frames[self._position(seconds)].moment

    def until(self, seconds: float) -> tuple[Frame, ...]:
        """List the frames that have begun."""
        return self.frames[: self._position(seconds) + 1]

    def _position(self, seconds: float) -> int:
        later = bisect_right(self.frames, seconds, key=_BEGINNING)
        return max(later - 1, 0)


def paced(
    moments: Iterable[Moment | None], *, beat: float, start: float = 0.0
) -> list[Frame]:
    """Let each of *moments* last one *beat* of seconds, the last one for ever."""
    return [
        Frame(start + beat * number, moment) for number, moment in enumerate(moments)
    ]


def dated(frames: Sequence[Frame]) -> Timeline:
    """Give jobs and steps the times that JOB would have written by each frame."""
    done: list[Frame] = []
    before: Moment | None = None
    rows: dict[int, tuple[Row, ...]] = {}
    for frame in frames:
        if frame.moment is not None:
            before = _moment_dated(frame.moment, before, rows, frame.at)
        done.append(Frame(frame.at, frame.moment and before))
    return Timeline(tuple(done))


def _moment_dated(
    moment: Moment, before: Moment | None, rows: dict[int, tuple[Row, ...]], now: float
) -> Moment:
    """Date *moment*; *rows* are the latest of each step, and are brought up to date.

    They outlive the moment in which a retried step has none.
    """
    for number, step in enumerate(moment.steps):
        if step.rows:
            rows[number] = _rows_dated(step.rows, rows.get(number, ()), now)
    olds = before.steps if before else ()
    steps = tuple(
        _step_dated(
            step,
            olds[number] if number < len(olds) else None,
            rows[number] if step.rows else (),
            now,
        )
        for number, step in enumerate(moment.steps)
    )
    return msgspec.structs.replace(
        moment,
        steps=steps,
        started=_started(moment, before, now),
        ended=_job_ended(moment, before, now),
    )


def _step_dated(
    step: Step, before: Step | None, rows: tuple[Row, ...], now: float
) -> Step:
    ended = None
    if step.status in FINISHED or _is_between_batches(step, before):
        ended = _ended(before, now)
    return msgspec.structs.replace(
        step, rows=rows, started=_started(step, before, now), ended=ended
    )


def _is_between_batches(step: Step, before: Step | None) -> bool:
    # A rolling step that has run has its end written, until the next batch.
    begun = before is not None and before.started is not None
    return begun and step.status == ROLLING_WAITING


def _rows_dated(
    rows: tuple[Row, ...], before: tuple[Row, ...], now: float
) -> tuple[Row, ...]:
    return tuple(
        _row_dated(row, before[number] if number < len(before) else None, now)
        for number, row in enumerate(rows)
    )


def _row_dated(row: Row, before: Row | None, now: float) -> Row:
    if row.status == ROW_WAITING:
        return row
    started: float | None = now
    ended = None if row.status == ROW_RUNNING else now
    if before is not None and _are_same(before.host, row.host):
        if before.status == row.status:
            # What was carried over into a new attempt keeps its times.
            started, ended = before.started, before.ended
        elif before.status == ROW_RUNNING:
            started = before.started
    return Row(
        row.host,
        row.status,
        row.tag,
        row.exit_code,
        row.error_code,
        row.log,
        row.batch,
        started,
        ended,
    )


def _are_same(one: Host, other: Host) -> bool:
    return one is other or one == other


def _started(
    thing: Moment | Step, before: Moment | Step | None, now: float
) -> float | None:
    # Kept from the first attempt: a retry clears the end, never the start
    # (bk-job TaskInstanceDAOImpl#resetTaskExecuteInfoForRetry).
    if before is not None and before.started is not None:
        return before.started
    return None if thing.status == WAITING else now


def _ended(before: Moment | Step | None, now: float) -> float | None:
    if before is not None and before.status in _ENDED:
        return before.ended
    return now


def _job_ended(moment: Moment, before: Moment | None, now: float) -> float | None:
    """Say when the job ended, as its row has it, which may be out of date.

    Only a retry clears the end, and only once the step itself runs again. After
    "next step" (11 → 2) and a restarted confirmation (13 → 7) it stays while the
    job is running (bk-job TaskExecuteServiceImpl#doStepOperation).
    """
    if moment.status in FINISHED:
        return _ended(before, now)
    retried = any(s.status == RUNNING and s.execute_count for s in moment.steps)
    return None if retried or before is None else before.ended
