"""What JOB may say: strategies and plain values, named for what they build.

``a_…`` and plural nouns are hypothesis strategies; everything else is a value. The
pools are small on purpose, so that answers of one story meet in hosts and steps.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import structs

from monitor.core import codes
from monitor.core.model import HostId, InstanceKey, Snapshot, Step, host_id
from monitor.core.wording import Frame

NOW: Final = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
KEY: Final = InstanceKey("prod", "biz", "2", 20000153)
FRAME: Final = Frame(
    source="prod",
    key=str(KEY),
    subject=KEY.subject,
    instance=KEY,
    labels={"team": "sre"},
    web_url="https://job.example.com/",
)
UNKNOWN_RUN: Final = 99
UNKNOWN_HOST: Final = 77

STEPS: Final = (7001, 7002)
POOL: Final = tuple(host_id(f"10.0.0.{last}", 0) for last in range(1, 6))


def hosts(**statuses: int) -> dict[HostId, int]:
    """Name hosts by the last part of their address: ``hosts(_1=9, _2=104)``."""
    return {host_id(f"10.0.0.{name[1:]}", 0): code for name, code in statuses.items()}


def step(
    status: int,
    rows: Mapping[HostId, int] | None = None,
    *,
    attempt: int = 0,
    number: int = STEPS[0],
) -> Step:
    return Step(
        step_instance_id=number,
        status=status,
        execute_count=attempt,
        name="push",
        hosts=rows or {},
    )


def job(status: int, *steps: Step) -> Snapshot:
    return Snapshot(status=status, name="deploy", steps=steps)


def a_run_status() -> st.SearchStrategy[int]:
    return st.sampled_from([*codes.RUNS, 0, -1, UNKNOWN_RUN])


def a_host_status() -> st.SearchStrategy[int]:
    return st.sampled_from([9, 9, 5, 7, 104, 3, 11, 403, UNKNOWN_HOST])


def some_hosts() -> st.SearchStrategy[dict[HostId, int]]:
    return st.dictionaries(st.sampled_from(POOL), a_host_status(), max_size=5)


@st.composite
def a_step(draw: st.DrawFn, number: int = STEPS[0]) -> Step:
    return Step(
        step_instance_id=number,
        status=draw(a_run_status()),
        execute_count=draw(st.integers(0, 2)),
        name=draw(st.sampled_from(["push", "", "<b>重启</b>"])),
        hosts=draw(some_hosts()),
    )


@st.composite
def a_snapshot(draw: st.DrawFn) -> Snapshot:
    """Anything a decoder may build, however implausible."""
    numbers = draw(st.lists(st.sampled_from(STEPS), unique=True))
    return Snapshot(
        status=draw(a_run_status()),
        name=draw(st.sampled_from(["deploy", ""])),
        plan_id=draw(st.sampled_from([None, 1001])),
        started_at=draw(st.sampled_from([None, NOW - SECOND])),
        ended_at=draw(st.sampled_from([None, NOW])),
        steps=tuple(draw(a_step(number)) for number in numbers),
    )


@st.composite
def shuffled(draw: st.DrawFn, answer: Snapshot) -> Snapshot:
    """Reorder the rows of every step; JOB sorts them by nothing."""
    return _each_step(
        answer,
        lambda known: {"hosts": dict(draw(st.permutations([*known.hosts.items()])))},
    )


@st.composite
def shrunk(draw: st.DrawFn, answer: Snapshot) -> Snapshot:
    """Lose some rows, or all."""
    return _each_step(
        answer,
        lambda known: {
            "hosts": {h: s for h, s in known.hosts.items() if draw(st.booleans())}
        },
    )


@st.composite
def moved(draw: st.DrawFn, answer: Snapshot) -> Snapshot:
    """Give the job, its steps and its hosts other codes within their attempts."""
    inside = _each_step(
        answer,
        lambda known: {
            "status": draw(a_run_status()),
            "hosts": {host: draw(a_host_status()) for host in known.hosts},
        },
    )
    return structs.replace(inside, status=draw(a_run_status()))


@st.composite
def retried(draw: st.DrawFn, answer: Snapshot) -> Snapshot:
    """Begin another attempt, of which no row, some rows or all may be seen."""
    return _each_step(
        structs.replace(answer, status=2),
        lambda known: {
            "execute_count": known.execute_count + 1,
            "status": draw(st.sampled_from([known.status, 2])),
            "hosts": draw(st.sampled_from([{}, known.hosts]) | some_hosts()),
        },
    )


def stepless(answer: Snapshot) -> st.SearchStrategy[Snapshot]:
    return st.just(structs.replace(answer, steps=answer.steps[1:]))


def _each_step(answer: Snapshot, change: Callable[[Step], dict[str, Any]]) -> Snapshot:
    steps = tuple(structs.replace(known, **change(known)) for known in answer.steps)
    return structs.replace(answer, steps=steps)


def _anything(_: Snapshot) -> st.SearchStrategy[Snapshot]:
    return a_snapshot()


_ONWARDS: Final[tuple[Callable[[Snapshot], st.SearchStrategy[Snapshot]], ...]] = (
    st.just,
    shuffled,
    shrunk,
    moved,
    retried,
    stepless,
    _anything,
)


@st.composite
def answers(draw: st.DrawFn, at_most: int = 6) -> list[Snapshot]:
    """One instance, look after look: plausible steps onwards, and wild jumps."""
    story = [draw(a_snapshot())]
    for onward in draw(st.lists(st.sampled_from(_ONWARDS), max_size=at_most - 1)):
        story.append(draw(onward(story[-1])))
    return story
