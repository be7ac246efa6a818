"""What is remembered of an instance, a scope or a source, and how it changes.

A ``Change`` is the unit that the store commits: the new state and the events that
tell of it, together or not at all. A ``State`` outlives the version that wrote it:
it and all it holds may only gain fields, each with a default.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct, structs

from monitor.core import alerts, clusters, conditions, events, reach, transitions
from monitor.core.alerts import Alert
from monitor.core.clusters import Tails, Wanted
from monitor.core.message import Message
from monitor.core.model import Snapshot
from monitor.core.overtime import Course
from monitor.core.policy import USUAL, Policy
from monitor.core.wording import Frame

FLIPS: Final = 20


class Phase(StrEnum):
    WATCHED = "watched"
    RETIRED = "retired"
    UNWATCHED = "unwatched"


class State(Struct, frozen=True, kw_only=True):
    """*version* counts commits, *sequence* counts events, both from 1.

    *changed_at* is when we last saw anything change, *stepped_at* when we last saw
    more than hosts change, *finished_at* when we last saw anything change about an
    instance that is finished: people retry after that. *tails* explain failures
    that stand: at most 30 of at most 4 KB, redacted. *flips* are when alerts began to
    hold where none did, or none held any more, the last 20. *began_at* is when the
    present run of the job began.
    """

    key: str
    version: int = 0
    sequence: int = 0
    phase: Phase = Phase.WATCHED
    snapshot: Snapshot | None = None
    alerts: Mapping[str, Alert] = {}
    gone: bool = False
    changed_at: datetime | None = None
    stepped_at: datetime | None = None
    finished_at: datetime | None = None
    tails: Tails = {}
    flips: tuple[datetime, ...] = ()
    began_at: datetime | None = None


class Change(Struct, frozen=True, kw_only=True):
    """*state.version* is one above the version it was decided upon."""

    state: State
    events: tuple[Message, ...] = ()


def seen(
    state: State,
    snapshot: Snapshot,
    frame: Frame,
    now: datetime,
    *,
    policy: Policy = USUAL,
    seen_since: datetime | None = None,
) -> Change | None:
    """Take in what JOB said; None where it says nothing new.

    *seen_since*: since when its source has been in sight.
    """
    known = transitions.as_named_by(snapshot, _remembered(state))
    after = transitions.merged(known, snapshot)
    moved = transitions.between(None if state.gone else known, after)
    course = Course(
        now=now,
        began_at=_began_at(state, known, after, now),
        moved_at=_moved_at(state, now, moved=bool(moved)),
        moved=bool(moved),
        seen_since=seen_since,
        whole=not any(step.partial for step in snapshot.steps),
    )
    holding = conditions.holding(state.alerts, known, after, course, policy)
    held, alert_changes = alerts.settled(state.alerts, holding)
    if _is_seen(state) and after == state.snapshot and not alert_changes:
        return None

    happened = (
        *events.of_transitions(frame, after, moved),
        *events.of_alerts(frame, after, alert_changes),
    )
    return _change(
        state,
        events.recorded(frame, happened, after=state.sequence, now=now),
        phase=Phase.WATCHED,
        snapshot=after,
        alerts=held,
        gone=False,
        changed_at=now if moved else state.changed_at,
        stepped_at=now if transitions.stepped(moved) else state.stepped_at,
        finished_at=_finished_at(state, after, now, moved=bool(moved)),
        tails=clusters.kept(after.steps, state.tails),
        began_at=course.began_at,
    )


def seen_again(
    state: State,
    frame: Frame,
    now: datetime,
    *,
    policy: Policy = USUAL,
    seen_since: datetime | None = None,
    whole: bool = True,
) -> Change | None:
    """Take in that JOB said the same again; None where that is nothing new.

    *whole*: and it said so of all hosts.
    """
    known = state.snapshot
    if known is None or not _is_seen(state):
        return None
    course = _still(state, known, now, seen_since)
    course = structs.replace(course, whole=whole)
    holding = conditions.holding(state.alerts, known, known, course, policy)
    held, changes = alerts.settled(state.alerts, holding)
    if not changes:
        return None
    happened = events.of_alerts(frame, known, changes)
    recorded = events.recorded(frame, happened, after=state.sequence, now=now)
    return _change(state, recorded, alerts=held)


def wrong_at(
    state: State,
    now: datetime,
    *,
    policy: Policy = USUAL,
    seen_since: datetime | None = None,
) -> datetime | None:
    """Say when something may be wrong even if JOB says the same again."""
    known = state.snapshot
    if known is None or not _is_seen(state):
        return None
    course = _still(state, known, now, seen_since)
    return conditions.next_at(state.alerts, known, course, policy)


def _is_seen(state: State) -> bool:
    return state.phase is Phase.WATCHED and not state.gone


def _still(
    state: State, known: Snapshot, now: datetime, seen_since: datetime | None
) -> Course:
    return Course(
        now=now,
        began_at=_began_at(state, known, known, now),
        moved_at=_moved_at(state, now, moved=False),
        moved=False,
        seen_since=seen_since,
    )


def _moved_at(state: State, now: datetime, *, moved: bool) -> datetime:
    return now if moved else state.changed_at or now


def _began_at(
    state: State, known: Snapshot | None, after: Snapshot, now: datetime
) -> datetime:
    """Say when this run of the job began.

    JOB keeps the start of the first attempt, however much later a retry comes: of
    a run that is not the first, only what we saw of it counts.
    """
    if known is not None and _runs_again(known, after):
        return now
    retried = any(step.execute_count for step in after.steps)
    waited = known is not None and known.started_at is None and after.started_at
    if state.began_at is not None and (retried or not waited):
        return state.began_at
    start = after.started_at or after.created_at or now
    return now if retried else min(start, now)


def _runs_again(known: Snapshot, after: Snapshot) -> bool:
    """Tell whether another run has begun, be it that the end before was not seen."""
    if known.finished:
        return not after.finished
    attempts = {step.step_instance_id: step.execute_count for step in known.steps}
    return any(
        step.execute_count > attempts.get(step.step_instance_id, step.execute_count)
        for step in after.steps
    )


def _remembered(state: State) -> Snapshot | None:
    """Give what is known; an end that nobody watched is no outcome any more."""
    if state.snapshot is None or state.phase is Phase.WATCHED:
        return state.snapshot
    return structs.replace(state.snapshot, outcome=None)


def _finished_at(
    state: State, after: Snapshot, now: datetime, *, moved: bool
) -> datetime | None:
    if not after.finished:
        return None
    # Whoever watches it anew has the whole of settle ahead.
    anew = moved or state.phase is not Phase.WATCHED
    return now if anew else state.finished_at or now


def gone(
    state: State, frame: Frame, now: datetime, *, policy: Policy = USUAL
) -> Change | None:
    """Take in that JOB, asked repeatedly, knows no such instance.

    What held before holds on: nobody saw it end.
    """
    if state.gone and state.phase is Phase.WATCHED:
        return None

    status = state.snapshot.status if state.snapshot else None
    moved = transitions.Transition(kind=transitions.Kind.GONE, before=status)
    alert = Alert(
        name=alerts.Name.JOB_GONE,
        severity=policy.severity_of(alerts.Name.JOB_GONE),
        since=now,
        occasions=0,
    )
    still = [structs.replace(known, occasions=0) for known in state.alerts.values()]
    held, alert_changes = alerts.settled(state.alerts, [*still, alert])
    happened = (
        *events.of_transitions(frame, state.snapshot, [] if state.gone else [moved]),
        *events.of_alerts(frame, state.snapshot, alert_changes),
    )
    return _change(
        state,
        events.recorded(frame, happened, after=state.sequence, now=now),
        phase=Phase.WATCHED,
        alerts=held,
        gone=True,
        changed_at=now,
        finished_at=state.finished_at or now,
    )


def ended(state: State, phase: Phase, frame: Frame, now: datetime) -> Change:
    """Stop looking: the watch was removed, or the instance is retired."""
    _, changes = alerts.settled(state.alerts, (), why_ended=alerts.UNWATCHED)
    happened = events.of_alerts(frame, state.snapshot, changes)
    recorded = events.recorded(frame, happened, after=state.sequence, now=now)
    return _change(state, recorded, phase=phase, alerts={}, tails={})


def wanting(state: State) -> tuple[Wanted, ...]:
    """Say whose logs are still to be asked for."""
    if state.snapshot is None or state.gone or state.phase is not Phase.WATCHED:
        return ()
    return clusters.wanted(state.snapshot.steps, state.tails)


def heard(state: State, tails: Tails) -> Change | None:
    """Take in what logs say; None where nobody asks any more.

    It is no event: nothing happened to the instance.
    """
    if state.snapshot is None or state.phase is not Phase.WATCHED:
        return None
    steps = state.snapshot.steps
    after = clusters.joined(state.tails, clusters.kept(steps, tails))
    return None if after == state.tails else _change(state, (), tails=after)


def reached(
    state: State,
    kind: reach.Kind,
    cause: reach.Cause | None,
    frame: Frame,
    now: datetime,
    *,
    policy: Policy = USUAL,
) -> Change:
    """Take in that sight of a source was lost or restored."""
    severity = policy.severity_of(alerts.Name.SOURCE_LOST)
    alert = Alert(
        name=alerts.Name.SOURCE_LOST,
        severity=severity,
        since=now,
        occasions=0,
        reason=str(cause or ""),
    )
    return _held(
        state,
        [alert] if kind is reach.Kind.LOST else [],
        frame,
        now,
        *events.of_reach(frame, kind, cause, severity),
    )


def refused(
    state: State,
    reason: str,
    frame: Frame,
    now: datetime,
    *,
    policy: Policy = USUAL,
) -> Change | None:
    """Take in that JOB does not let us see a scope."""
    if state.alerts:
        return None
    alert = Alert(
        name=alerts.Name.JOB_REFUSED,
        severity=policy.severity_of(alerts.Name.JOB_REFUSED),
        since=now,
        occasions=0,
        reason=reason,
    )
    return _held(state, [alert], frame, now)


def allowed(state: State, frame: Frame, now: datetime) -> Change | None:
    """Take in that JOB lets us see a scope again."""
    return _held(state, [], frame, now) if state.alerts else None


def _held(
    state: State,
    holding: list[Alert],
    frame: Frame,
    now: datetime,
    *first: events.Unnumbered,
) -> Change:
    held, changes = alerts.settled(state.alerts, holding)
    happened = (*first, *events.of_alerts(frame, None, changes))
    recorded = events.recorded(frame, happened, after=state.sequence, now=now)
    return _change(state, recorded, phase=Phase.WATCHED, alerts=held, changed_at=now)


def _change(state: State, recorded: tuple[Message, ...], **fields: object) -> Change:
    after = structs.replace(
        state,
        version=state.version + 1,
        sequence=state.sequence + len(recorded),
        **fields,
    )
    if recorded and bool(after.alerts) is not bool(state.alerts):
        flips = (*state.flips, recorded[0].time)[-FLIPS:]
        after = structs.replace(after, flips=flips)
    return Change(state=after, events=recorded)
