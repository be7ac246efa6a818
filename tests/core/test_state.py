from datetime import datetime

import msgspec
from hypothesis import given, settings

from monitor.core import reach, state, transitions
from monitor.core.alerts import Alert, Name, Stage
from monitor.core.clusters import Tail, Tails, Wanted
from monitor.core.message import Message
from monitor.core.model import Snapshot
from monitor.core.policy import Policy
from monitor.core.state import Phase, State
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from tests.core import lives, plain
from tests.core.builders import FRAME, KEY, NOW, SECOND, STEPS, hosts, job, step
from tests.core.lives import Chapter, Turn, lived

laws = settings(max_examples=60, deadline=None)

SOURCE = Frame(source="prod", key="prod")
SCOPE = Frame(source="prod", key="prod/biz/2", subject="biz/2")


@laws
@given(lives.a_life())
def test_event_ids_count_up_from_one_without_holes(life: list[Chapter]) -> None:
    recorded = [event for chapter in life for event in chapter.events]

    assert [event.id for event in recorded] == [
        f"{KEY}#{number}" for number in range(1, len(recorded) + 1)
    ]
    assert [event.sequence for event in recorded] == [*range(1, len(recorded) + 1)]
    assert life[-1].after.sequence == len(recorded)


@laws
@given(lives.a_life())
def test_the_same_answer_over_the_same_stored_state_gives_the_same_change(
    life: list[Chapter],
) -> None:
    for chapter in life:
        stored = msgspec.msgpack.decode(
            msgspec.msgpack.encode(chapter.before), type=State
        )

        assert stored == chapter.before
        assert lives.decided(stored, chapter.act, chapter.now) == chapter.change


@laws
@given(lives.a_life())
def test_an_answer_gives_no_change_exactly_where_it_says_nothing_new(
    life: list[Chapter],
) -> None:
    for chapter in life:
        if isinstance(chapter.act, Snapshot):
            known = chapter.before
            after = transitions.merged(known.snapshot, chapter.act)
            watched = known.phase is Phase.WATCHED and not known.gone

            same = watched and after == known.snapshot
            assert (chapter.change is None) == (same and not left_behind(chapter))


@laws
@given(lives.a_life())
def test_every_change_is_one_version_further(life: list[Chapter]) -> None:
    changes = [chapter.change for chapter in life if chapter.change]

    assert [change.state.version for change in changes] == [*range(1, len(changes) + 1)]


def left_behind(chapter: Chapter) -> bool:
    """Tell whether a second look said no more than that hosts were left unfinished."""
    told = plain.lines(chapter.events)
    return bool(told) and all("raised hosts_unfinished" in line for line in told)


@laws
@given(lives.a_life())
def test_an_answer_that_comes_twice_is_nothing_new_but_that_hosts_were_left(
    life: list[Chapter],
) -> None:
    for chapter in life:
        if isinstance(chapter.act, Snapshot) or chapter.act is Turn.GONE:
            again, third = lived([chapter.act] * 2, chapter.after)

            assert again.change is None or left_behind(again)
            assert third.change is None


@laws
@given(lives.a_life())
def test_occasions_never_fall_while_an_alert_holds(life: list[Chapter]) -> None:
    for chapter in life:
        for name, held in chapter.before.alerts.items():
            now_held = chapter.after.alerts.get(name)
            if now_held is not None:
                assert now_held.occasions >= held.occasions
                assert now_held.since == held.since


@laws
@given(lives.a_life())
def test_each_failed_host_of_a_watched_instance_stands_in_an_alert(
    life: list[Chapter],
) -> None:
    for chapter in life:
        known = chapter.after
        if known.phase is Phase.WATCHED and known.snapshot is not None:
            failed = {
                step.step_instance_id: len(step.failures)
                for step in known.snapshot.steps
                if step.failures
            }

            assert failed == {
                alert.attempt.step_instance_id: alert.failed
                for alert in known.alerts.values()
                if alert.name is Name.HOSTS_FAILED and alert.attempt
            }


@laws
@given(lives.a_life())
def test_an_unwatched_instance_holds_no_alert(life: list[Chapter]) -> None:
    for chapter in life:
        assert chapter.after.phase is Phase.WATCHED or not chapter.after.alerts


@laws
@given(lives.a_life())
def test_alert_events_say_how_the_alerts_held_came_to_be(life: list[Chapter]) -> None:
    for chapter in life:
        names = [*chapter.before.alerts]
        for event in chapter.events:
            if event.type == "bkjob.alert.raised":
                names.append(_alert_id(event))
            if event.type == "bkjob.alert.resolved":
                names.remove(_alert_id(event))

        assert sorted(names) == sorted(chapter.after.alerts)


def _alert_id(event: Message) -> str:
    alert = plain.data(event)["alert"]
    step = f"/{alert['step']['step_instance_id']}" if "step" in alert else ""
    return f"{alert['name']}{step}"


@laws
@given(lives.a_life())
def test_a_finished_instance_knows_since_when(life: list[Chapter]) -> None:
    for chapter in life:
        known = chapter.after
        if known.snapshot is not None and not known.gone:
            assert (known.finished_at is not None) == known.snapshot.finished


def at(*acts: lives.Act) -> State:
    return [*lived(acts)][-1].after


def test_the_time_of_the_end_is_that_of_the_first_sight_of_this_end() -> None:
    assert at(job(2), job(3), job(3)).finished_at == NOW + SECOND
    assert at(job(4), job(2)).finished_at is None
    assert at(job(4), job(3)).finished_at == NOW + SECOND
    assert at(job(2), Turn.GONE).finished_at == NOW + SECOND


def test_the_time_of_the_last_change_moves_with_changes_only() -> None:
    renamed = msgspec.structs.replace(job(2), name="other")

    assert at(job(2), renamed).changed_at == NOW
    assert at(job(2), job(7)).changed_at == NOW + SECOND


def test_a_silent_novelty_is_remembered_without_an_event() -> None:
    renamed = msgspec.structs.replace(job(2), name="other")
    last = [*lived([job(2), renamed])][-1]

    assert last.events == ()
    assert last.after.snapshot == renamed


def test_the_severity_of_the_watch_wins_over_the_usual_one() -> None:
    failed = job(4, step(4, hosts(_1=104)))
    policy = Policy(severity=Severity.WARNING)
    change = state.seen(State(key=str(KEY)), failed, FRAME, NOW, policy=policy)

    assert change is not None
    assert change.state.alerts == {
        f"hosts_failed/{STEPS[0]}": Alert(
            name=Name.HOSTS_FAILED,
            severity=Severity.WARNING,
            since=NOW,
            attempt=Attempt(STEPS[0], 0, "push"),
            status=4,
            failed=1,
            total=1,
            stage=Stage.FINAL,
        ),
        "job_failed": Alert(
            name=Name.JOB_FAILED, severity=Severity.WARNING, since=NOW, status=4
        ),
    }


def reached(known: State, kind: reach.Kind, now: datetime) -> state.Change:
    cause = reach.Cause.AUTH if kind is reach.Kind.LOST else None
    return state.reached(known, kind, cause, SOURCE, now)


def test_a_lost_source_is_an_event_and_an_alert_until_it_is_restored() -> None:
    lost = reached(State(key="prod"), reach.Kind.LOST, NOW)
    restored = reached(lost.state, reach.Kind.RESTORED, NOW + SECOND)

    assert [(e.id, e.type, plain.data(e).get("cause")) for e in lost.events] == [
        ("prod#1", "bkjob.source.lost", "auth"),
        ("prod#2", "bkjob.alert.raised", None),
    ]
    assert [(e.id, e.type) for e in restored.events] == [
        ("prod#3", "bkjob.source.restored"),
        ("prod#4", "bkjob.alert.resolved"),
    ]
    assert [*lost.state.alerts] == ["source_lost"]
    assert restored.state.alerts == {}


def test_a_scope_that_may_not_be_seen_is_told_once_with_the_reason() -> None:
    first = state.refused(State(key=SCOPE.key), "no view_history", SCOPE, NOW)
    assert first is not None
    again = state.refused(first.state, "no view_history, still", SCOPE, NOW)
    allowed = state.allowed(first.state, SCOPE, NOW)

    assert plain.lines(first.events) == [
        "alert.raised job_refused critical (no view_history)"
    ]
    assert again is None
    assert allowed is not None
    assert plain.lines(allowed.events) == [
        "alert.resolved job_refused critical (no view_history)"
    ]
    assert state.allowed(allowed.state, SCOPE, NOW) is None


FAILED = job(4, step(4, hosts(_1=9, _2=104)))
[BAD] = hosts(_2=104)


def known_after(*acts: Snapshot | Turn) -> State:
    return [*lived(acts)][-1].after


def explained(known: State, text: str = "no space", attempt: int = 0) -> State:
    change = state.heard(known, {STEPS[0]: {BAD: Tail(attempt, text)}})
    assert change is not None
    return change.state


def test_what_a_log_says_is_remembered_without_an_event() -> None:
    known = known_after(FAILED)
    change = state.heard(known, {STEPS[0]: {BAD: Tail(0, "no space")}})

    assert change is not None
    assert change.events == ()
    assert change.state.tails == {STEPS[0]: {BAD: Tail(0, "no space")}}
    assert (change.state.version, change.state.sequence) == (
        known.version + 1,
        known.sequence,
    )


def test_a_log_is_wanted_until_it_was_asked_for() -> None:
    known = known_after(FAILED)

    assert state.wanting(known) == (Wanted(STEPS[0], 0, (BAD,)),)
    assert state.wanting(explained(known, "")) == ()


def test_a_log_lives_as_long_as_the_failure_it_explains() -> None:
    known = explained(known_after(FAILED))
    retrying = job(2, step(2, hosts(_1=9, _2=5), attempt=1))
    again = job(4, step(4, hosts(_1=9, _2=104), attempt=1))
    well = job(3, step(3, hosts(_1=9, _2=9), attempt=1))

    def tails_after(*acts: Snapshot | Turn) -> Tails:
        after = known
        for act in acts:
            change = lives.decided(after, act, NOW)
            after = change.state if change else after
        return after.tails

    assert tails_after(retrying) == known.tails
    assert tails_after(Turn.GONE) == known.tails
    assert tails_after(retrying, again) == {}
    assert tails_after(retrying, well) == {}
    assert tails_after(Turn.RETIRED) == {}


def test_a_log_that_comes_too_late_changes_nothing() -> None:
    tails = {STEPS[0]: {BAD: Tail(0, "no space")}}
    well = job(3, step(3, hosts(_1=9, _2=9), attempt=1))

    assert state.heard(known_after(FAILED, well), tails) is None
    assert state.heard(known_after(FAILED, Turn.REMOVED), tails) is None
    assert state.heard(State(key=str(KEY)), tails) is None
    assert state.heard(explained(known_after(FAILED)), tails) is None


def test_of_what_is_gone_or_not_watched_no_log_is_wanted() -> None:
    for turn in (Turn.GONE, Turn.RETIRED, Turn.REMOVED):
        assert state.wanting(known_after(FAILED, turn)) == ()
    assert state.wanting(State(key="prod")) == ()


@laws
@given(lives.a_life())
def test_logs_never_change_what_an_answer_means(life: list[Chapter]) -> None:
    for chapter in life:
        tails = {
            wanted.step_instance_id: dict.fromkeys(
                wanted.hosts, Tail(wanted.execute_count, "no space")
            )
            for wanted in state.wanting(chapter.before)
        }
        change = state.heard(chapter.before, tails)
        known = change.state if change else chapter.before
        after = lives.decided(known, chapter.act, chapter.now)

        assert state.wanting(known) == ()
        events = after.events if after else ()
        assert events == chapter.events
