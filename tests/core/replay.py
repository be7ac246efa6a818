"""A second reading of the transitions: applying them instead of finding them."""

from collections.abc import Iterable

from msgspec import Struct

from monitor.core import codes
from monitor.core.model import Failure, HostId, Snapshot
from monitor.core.transitions import Kind, Transition


class StepEssence(Struct):
    status: int | None = None
    execute_count: int = 0
    hosts: dict[HostId, int] = {}
    failures: dict[HostId, Failure] = {}


class Essence(Struct):
    """What transitions must carry over, and nothing of what they need not."""

    status: int | None
    steps: dict[int, StepEssence]


def essence(snapshot: Snapshot) -> Essence:
    return Essence(
        status=snapshot.status,
        steps={
            step.step_instance_id: StepEssence(
                status=step.status,
                execute_count=step.execute_count,
                hosts=dict(step.hosts),
                failures=dict(step.failures),
            )
            for step in snapshot.steps
        },
    )


def replayed(before: Snapshot, transitions: Iterable[Transition]) -> Essence:
    known = essence(before)
    for transition in transitions:
        if transition.attempt is None:
            known.status = transition.after
            continue

        number = transition.attempt.step_instance_id
        step = known.steps.setdefault(number, StepEssence())
        step.execute_count = transition.attempt.execute_count
        if transition.kind in {Kind.STEP_CHANGED, Kind.STEP_RETRIED}:
            step.status = transition.after
        for host, status in transition.hosts.items():
            _apply(step, transition.kind, host, status)
    return known


def _apply(step: StepEssence, kind: Kind, host: HostId, status: int) -> None:
    step.hosts[host] = status
    if kind is Kind.HOSTS_FAILED or codes.host_failed(status):
        step.failures[host] = Failure(status, step.execute_count)
    elif status in codes.HOSTS_SUCCEEDED:
        step.failures.pop(host, None)
