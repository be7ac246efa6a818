"""How waiting for instances ends: an ending for each, an exit code for all.

The exit codes are public (``docs/wait.md``). Waiting is *decided* once looking on
cannot change the exit code, but for ``finished``, which sees all to their end.
"""

from collections.abc import Collection, Mapping
from enum import StrEnum
from itertools import chain
from typing import Final

from msgspec import Struct

from monitor.core import codes
from monitor.core.codes import Meaning
from monitor.core.model import Failure, HostId, InstanceKey, Snapshot


class Goal(StrEnum):
    """What is waited for; the values are what a person types."""

    FINISHED = "finished"
    SUCCESS = "success"
    FAILED = "failed"


class Ending(StrEnum):
    """The values are public; ``RUNNING`` is the ending of what has none yet."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"
    REFUSED = "refused"
    LOST = "lost"
    RUNNING = "running"


class Condition(Struct, frozen=True):
    """*any_*: one instance that reaches the goal is enough."""

    goal: Goal = Goal.FINISHED
    any_: bool = False


class Counts(Struct, frozen=True, kw_only=True):
    """How many hosts there are; *hosts* and *unfinished* count each once.

    *rows* are those of each step, of which *done* are finished.
    """

    hosts: int
    unfinished: int
    rows: Mapping[int, int]
    done: int


class Finding(Struct, frozen=True, kw_only=True):
    """What is known of one instance; *reason* says why there is no more.

    *told* counts hosts where the snapshot holds only those that failed.
    """

    key: InstanceKey
    ending: Ending = Ending.RUNNING
    snapshot: Snapshot | None = None
    reason: str = ""
    told: Counts | None = None

    @property
    def counts(self) -> Counts:
        return self.told or counted(self.snapshot)


_GOOD: Final = {
    Goal.FINISHED: Ending.SUCCEEDED,
    Goal.SUCCESS: Ending.SUCCEEDED,
    Goal.FAILED: Ending.FAILED,
}

# Any other ending is the wrong outcome: 1.
_CODES: Final = {
    Ending.GONE: 6,
    Ending.REFUSED: 4,
    Ending.LOST: 5,
    Ending.RUNNING: 3,
}
_MOST_FINAL_FIRST: Final = (1, 6, 4, 5, 3)


def of(snapshot: Snapshot) -> Ending:
    """Judge by the status of the job alone: 3, 5 and 6 are well."""
    code = codes.run(snapshot.status)
    if not code.finished:
        return Ending.RUNNING
    well = code.meaning is Meaning.SUCCEEDED
    return Ending.SUCCEEDED if well else Ending.FAILED


def decided(condition: Condition, endings: Collection[Ending]) -> bool:
    """Tell whether there is nothing more to wait for."""
    if Ending.RUNNING not in endings:
        return True
    good = _GOOD[condition.goal]
    if condition.any_:
        return good in endings or _ended_first(condition, endings)
    # Of those that must all get there, one cannot any more.
    return condition.goal is not Goal.FINISHED and any(
        ending not in (good, Ending.RUNNING) for ending in endings
    )


def exit_code(condition: Condition, endings: Collection[Ending]) -> int:
    """Give 0 if the condition is met, else what stood in its way.

    Of several reasons, with *all* the most final one counts (1, 6, 4, 5, 3), since
    nothing undoes it; with *any* the most open one (3, 5, 4, 6, 1), since it might
    still have been met.
    """
    good = _GOOD[condition.goal]
    met = any if condition.any_ else all
    if met(ending is good for ending in endings):
        return 0
    found = {_CODES.get(ending, 1) for ending in endings if ending is not good}
    final = not condition.any_ or _ended_first(condition, endings)
    order = _MOST_FINAL_FIRST if final else _MOST_FINAL_FIRST[::-1]
    return next(code for code in order if code in found)


def _ended_first(condition: Condition, endings: Collection[Ending]) -> bool:
    """Of any that is to finish, the first to end decides, also by ending badly."""
    return condition.goal is Goal.FINISHED and Ending.FAILED in endings


def failed_hosts(snapshot: Snapshot) -> dict[HostId, Failure]:
    """Map each host that failed in some step and has not recovered to how it did.

    Of a host that failed in several steps the worst failure counts.
    """
    failed: dict[HostId, Failure] = {}
    for host, failure in chain.from_iterable(
        step.failures.items() for step in snapshot.steps
    ):
        known = failed.get(host)
        if known is None or codes.worst(known.status, failure.status) != known.status:
            failed[host] = failure
    return failed


_NONE: Final = Counts(hosts=0, unfinished=0, rows={}, done=0)


def counted(snapshot: Snapshot | None) -> Counts:
    if snapshot is None:
        return _NONE
    statuses = [status for step in snapshot.steps for status in step.hosts.values()]
    return Counts(
        hosts=len(hosts(snapshot)),
        unfinished=len(unfinished_hosts(snapshot)),
        rows={step.step_instance_id: len(step.hosts) for step in snapshot.steps},
        done=sum(codes.host(status).finished for status in statuses),
    )


def hosts(snapshot: Snapshot) -> frozenset[HostId]:
    return frozenset(chain.from_iterable(step.hosts for step in snapshot.steps))


def unfinished_hosts(snapshot: Snapshot) -> frozenset[HostId]:
    """List the hosts that JOB, in some step, still calls waiting or running."""
    return frozenset(
        host
        for step in snapshot.steps
        for host, status in step.hosts.items()
        if not codes.host(status).finished
    )
