"""What becomes of an instance: its state as a function of the seconds since it began.

Neutral as to the generation of the API: no field of any answer is named here. A
timeline says what *is*; ``v2`` says how it is put. Equal questions have equal
answers: no luck and no clock.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
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
FINISHED: Final = frozenset({3, 4, 5, 6, 8, 9, 11, 13, 14})

# bk-job StepExecuteTypeEnum.
SCRIPT: Final = 1
FILE: Final = 2
CONFIRM: Final = 3


class Host(msgspec.Struct, frozen=True, kw_only=True):
    ip: str
    bk_cloud_id: int = 0
    bk_host_id: int = 0

    @property
    def address(self) -> str:
        """The host as people write it: 10.0.0.1, or 3:10.0.0.1 in cloud area 3."""
        return f"{self.bk_cloud_id}:{self.ip}" if self.bk_cloud_id else self.ip


class Row(msgspec.Struct, frozen=True):
    """One line of a step's host list; a host may have several of them."""

    host: Host
    status: int


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


class Timeline(msgspec.Struct, frozen=True):
    """Frames in order of time. Made by `dated`, which fills in the times."""

    frames: tuple[Frame, ...]

    def at(self, seconds: float) -> Moment | None:
        return self.frames[self._position(seconds)].moment

    def until(self, seconds: float) -> tuple[Frame, ...]:
        """List the frames that have begun."""
        return self.frames[: self._position(seconds) + 1]

    def _position(self, seconds: float) -> int:
        later = bisect_right(self.frames, seconds, key=lambda frame: frame.at)
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
    for frame in frames:
        if frame.moment is not None:
            before = _moment_dated(frame.moment, before, frame.at)
        done.append(Frame(frame.at, frame.moment and before))
    return Timeline(tuple(done))


def _moment_dated(moment: Moment, before: Moment | None, now: float) -> Moment:
    olds = before.steps if before else ()
    steps = tuple(
        _step_dated(step, olds[number] if number < len(olds) else None, now)
        for number, step in enumerate(moment.steps)
    )
    return msgspec.structs.replace(
        moment,
        steps=steps,
        started=_started(moment, before, now),
        ended=_job_ended(moment, before, now),
    )


def _step_dated(step: Step, before: Step | None, now: float) -> Step:
    return msgspec.structs.replace(
        step,
        started=_started(step, before, now),
        ended=_ended(before, now) if step.status in FINISHED else None,
    )


def _started(
    thing: Moment | Step, before: Moment | Step | None, now: float
) -> float | None:
    # Kept from the first attempt: a retry clears the end, never the start
    # (bk-job TaskInstanceDAOImpl#resetTaskExecuteInfoForRetry).
    if before is not None and before.started is not None:
        return before.started
    return None if thing.status == WAITING else now


def _ended(before: Moment | Step | None, now: float) -> float | None:
    if before is not None and before.status in FINISHED:
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
