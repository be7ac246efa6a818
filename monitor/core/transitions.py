"""What changed between two looks at one instance.

Polling sees endpoints: a transition never says by which path one state became
the other. ``merged`` lays a new answer over what is known; ``between`` lists what
that changed, the instance first, then its steps in their order.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from monitor.core import codes, model
from monitor.core.model import Failure, HostId, Outcome, Snapshot, Step


class Kind(StrEnum):
    """The values are the public event types."""

    APPEARED = "bkjob.instance.appeared"
    CHANGED = "bkjob.instance.changed"
    FINISHED = "bkjob.instance.finished"
    REOPENED = "bkjob.instance.reopened"
    GONE = "bkjob.instance.gone"
    STEP_CHANGED = "bkjob.step.changed"
    STEP_RETRIED = "bkjob.step.retried"
    HOSTS_FAILED = "bkjob.hosts.failed"
    HOSTS_RECOVERED = "bkjob.hosts.recovered"
    HOSTS_CHANGED = "bkjob.hosts.changed"


class Attempt(Struct, frozen=True):
    """A step in one of its attempts."""

    step_instance_id: int
    execute_count: int
    name: str = ""


class Transition(Struct, frozen=True, kw_only=True):
    """*before* and *after* are status codes of the instance or of the step.

    *hosts* maps the hosts concerned to their new status.
    """

    kind: Kind
    before: int | None = None
    after: int | None = None
    attempt: Attempt | None = None
    hosts: Mapping[HostId, int] = {}


def as_named_by(seen: Snapshot, before: Snapshot | None) -> Snapshot | None:
    """Rename the hosts of *before* that *seen* names with more, or with less.

    Whoever moves a source from v2 to v4 must not hear that all hosts failed anew.
    """
    if before is None:
        return None
    now = {step.step_instance_id: step for step in seen.steps}
    steps = tuple(
        _as_named_by(now[step.step_instance_id], step)
        if step.step_instance_id in now
        else step
        for step in before.steps
    )
    return structs.replace(before, steps=steps)


def _as_named_by(seen: Step, known: Step) -> Step:
    new = seen.hosts.keys() - known.hosts.keys()
    if not new or not known.hosts:
        return known
    plain = Counter(map(model.without_number, new))
    names = {model.without_number(host): host for host in new}
    renamed = {
        host: names[bare]
        for host in known.hosts.keys() - seen.hosts.keys()
        if plain[bare := model.without_number(host)] == 1 and not bare.endswith(":")
    }
    if not renamed:
        return known
    return structs.replace(
        known,
        hosts={renamed.get(host, host): code for host, code in known.hosts.items()},
        stale=frozenset(renamed.get(host, host) for host in known.stale),
        failures={renamed.get(host, host): f for host, f in known.failures.items()},
    )


def merged(before: Snapshot | None, seen: Snapshot) -> Snapshot:
    """Lay what was *seen* over what was known *before*.

    An empty or shrunk list proves nothing: steps and hosts that are missing from
    *seen* keep what is known of them. Between the acceptance of a retry and the
    insertion of its rows JOB answers with the new attempt and no rows at all
    (bk-job TaskExecuteServiceImpl, reference 4.5, read 2026-11).
    """
    known = {step.step_instance_id: step for step in before.steps} if before else {}
    steps = {
        step.step_instance_id: _merged(known.get(step.step_instance_id), step)
        for step in seen.steps
    }
    missing = [
        structs.replace(step, stale=frozenset(step.hosts))
        for number, step in known.items()
        if number not in steps
    ]
    if before is None:
        before = _NOTHING
    outcome = before.outcome
    return structs.replace(
        seen,
        name=seen.name or before.name,
        # v2 alone tells these two; v3 and v4 have them in their lists only.
        operator=seen.operator or before.operator,
        plan_id=before.plan_id if seen.plan_id is None else seen.plan_id,
        steps=(*steps.values(), *missing),
        outcome=seen.status if seen.finished else outcome,
    )


_NOTHING: Final = Snapshot(status=0)


def _merged(known: Step | None, seen: Step) -> Step:
    if known is None:
        return _taken_in(seen, {}, frozenset(), _failures({}, seen))

    # An attempt never goes back: a lower count comes from a lagging replica.
    if seen.execute_count < known.execute_count:
        return known

    if seen.hosts == known.hosts:
        return _taken_in(
            seen, known.hosts, frozenset(), _failures(known.failures, seen)
        )

    silent = known.hosts.keys() - seen.hosts.keys()
    stale = known.stale & silent if seen.partial else silent
    hosts = {**known.hosts, **seen.hosts}
    return _taken_in(seen, hosts, frozenset(stale), _failures(known.failures, seen))


def _taken_in(
    seen: Step,
    hosts: Mapping[HostId, int],
    stale: frozenset[HostId],
    failures: Mapping[HostId, Failure],
) -> Step:
    return structs.replace(
        seen,
        hosts=hosts or seen.hosts,
        stale=stale,
        failures=failures,
        outcomes={},
        partial=False,
    )


def _failures(known: Mapping[HostId, Failure], seen: Step) -> Mapping[HostId, Failure]:
    failures = {
        host: failure
        for host, failure in known.items()
        if seen.hosts.get(host) not in codes.HOSTS_SUCCEEDED
    }
    for host, status in seen.hosts.items():
        if codes.host_failed(status):
            said = seen.outcomes.get(host, _SILENT)
            failures[host] = Failure(
                status, seen.execute_count, said.exit_code, said.tag
            )
    return failures


_SILENT: Final = Outcome()


def between(before: Snapshot | None, after: Snapshot) -> tuple[Transition, ...]:
    """List what changed; *after* is what ``merged`` made of *before*.

    At first sight (*before* is None) hosts that had already failed are listed,
    and nothing else of the past.
    """
    if before is None:
        return tuple(_first_sight(after))

    known = {step.step_instance_id: step for step in before.steps}
    steps = (
        transition
        for step in after.steps
        for transition in _of_step(known.get(step.step_instance_id), step)
    )
    return (*_of_instance(before.status, after.status), *steps)


def _first_sight(after: Snapshot) -> Iterator[Transition]:
    yield Transition(kind=Kind.APPEARED, after=after.status)
    if after.finished:
        yield Transition(kind=Kind.FINISHED, after=after.status)

    for step in after.steps:
        # Of an instance that was gone, a host that failed may run again by now.
        failed = {host: failure.status for host, failure in step.failures.items()}
        if failed:
            yield Transition(
                kind=Kind.HOSTS_FAILED, attempt=_attempt(step), hosts=failed
            )


def _of_instance(before: int, after: int) -> Iterator[Transition]:
    if before == after:
        return

    kind = Kind.CHANGED
    if codes.run(after).finished:
        kind = Kind.FINISHED
    elif codes.run(before).finished:
        kind = Kind.REOPENED
    yield Transition(kind=kind, before=before, after=after)


def _of_step(known: Step | None, after: Step) -> Iterator[Transition]:
    before = known or Step(step_instance_id=after.step_instance_id, status=0)
    if known is not None and after.execute_count > before.execute_count:
        yield _moved(Kind.STEP_RETRIED, known, after)
    elif known is None or known.status != after.status:
        yield _moved(Kind.STEP_CHANGED, known, after)

    failed = _newly_failed(before.failures, after.failures)
    recovered = {
        host
        for host in before.failures.keys() - after.failures.keys()
        if after.execute_count > before.failures[host].execute_count
    }
    moved = {host for host, _ in after.hosts.items() - before.hosts.items()}
    yield from _hosts(Kind.HOSTS_FAILED, after, failed)
    yield from _hosts(Kind.HOSTS_RECOVERED, after, recovered)
    yield from _hosts(Kind.HOSTS_CHANGED, after, moved - failed - recovered)


def _newly_failed(
    before: Mapping[HostId, Failure], after: Mapping[HostId, Failure]
) -> set[HostId]:
    """A host that fails again in a later attempt has newly failed."""
    return {
        host
        for host, failure in after.items()
        if host not in before or failure.execute_count > before[host].execute_count
    }


def _moved(kind: Kind, before: Step | None, after: Step) -> Transition:
    return Transition(
        kind=kind,
        before=before.status if before else None,
        after=after.status,
        attempt=_attempt(after),
    )


def _hosts(kind: Kind, step: Step, hosts: set[HostId]) -> Iterator[Transition]:
    if hosts:
        yield Transition(
            kind=kind,
            attempt=_attempt(step),
            hosts={host: step.hosts[host] for host in step.hosts if host in hosts},
        )


def _attempt(step: Step) -> Attempt:
    return Attempt(step.step_instance_id, step.execute_count, step.name)


def stepped(changes: Iterable[Transition]) -> bool:
    """Tell whether more than hosts changed: JOB samples a new step quickly."""
    return any(change.kind not in _OF_HOSTS for change in changes)


_OF_HOSTS: Final = frozenset(
    {Kind.HOSTS_FAILED, Kind.HOSTS_RECOVERED, Kind.HOSTS_CHANGED}
)
