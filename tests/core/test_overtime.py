"""What time alone makes wrong, and hosts that are left behind."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from monitor.core import state
from monitor.core.alerts import Alert, Name
from monitor.core.model import Snapshot, Step
from monitor.core.policy import Policy
from monitor.core.state import Phase, State
from monitor.core.watch import Options, Severity
from tests.core import builders, plain
from tests.core.builders import FRAME, KEY, NOW, SECOND, STEPS, hosts, job, step

laws = settings(max_examples=60, deadline=None)

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
POLICY = Policy(overdue_after=2 * HOUR, stalled_after=HOUR)
PATIENT = Policy(overdue_after=timedelta(days=9), stalled_after=timedelta(days=9))
RUNNING = job(2, step(2, hosts(_1=7, _2=5)))
ONE_DONE = job(2, step(2, hosts(_1=9, _2=5)))


class Life:
    """One instance as it is looked at; *told* are the alerts' comings and goings."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.known = State(key=str(KEY))
        self.policy = policy
        self.seen_since: datetime | None = NOW
        self.told: list[str] = []

    def answers(self, snapshot: Snapshot, at: timedelta, **fields: Any) -> list[str]:
        return self._took(
            state.seen(
                self.known,
                structs.replace(snapshot, **fields),
                FRAME,
                NOW + at,
                policy=self.policy,
                seen_since=self.seen_since,
            )
        )

    def says_the_same(self, at: timedelta, *, whole: bool = True) -> list[str]:
        return self._took(
            state.seen_again(
                self.known,
                FRAME,
                NOW + at,
                policy=self.policy,
                seen_since=self.seen_since,
                whole=whole,
            )
        )

    def ends(self, phase: Phase, at: timedelta) -> list[str]:
        return self._took(state.ended(self.known, phase, FRAME, NOW + at))

    def wrong_at(self, at: timedelta = timedelta()) -> timedelta | None:
        moment = state.wrong_at(
            self.known, NOW + at, policy=self.policy, seen_since=self.seen_since
        )
        return None if moment is None else moment - NOW

    def _took(self, change: state.Change | None) -> list[str]:
        if change is None:
            return []
        self.known = change.state
        lines = plain.lines(change.events)
        told = [
            line.removeprefix("alert.") for line in lines if line.startswith("alert.")
        ]
        self.told += told
        return told


def test_a_run_is_overdue_once_it_has_taken_as_long_as_it_may() -> None:
    life = Life(structs.replace(POLICY, stalled_after=timedelta(days=9)))
    life.answers(RUNNING, at=timedelta())

    assert life.says_the_same(at=2 * HOUR - SECOND) == []
    assert life.says_the_same(at=2 * HOUR) == ["raised job_overdue warning"]
    assert life.says_the_same(at=9 * HOUR) == []
    assert life.answers(job(3), at=10 * HOUR) == ["resolved job_overdue warning"]


def test_a_run_began_when_job_says_so() -> None:
    life = Life()

    assert life.answers(RUNNING, at=timedelta(), started_at=NOW - 3 * HOUR) == [
        "raised job_overdue warning"
    ]


def test_a_job_that_never_began_is_overdue_by_when_it_was_made() -> None:
    life = Life()

    assert life.answers(job(1), at=timedelta(), created_at=NOW - 3 * HOUR) == [
        "raised job_overdue warning"
    ]


def test_the_time_before_the_start_does_not_count_once_it_has_started() -> None:
    life = Life()
    life.answers(job(1), at=timedelta(), created_at=NOW - HOUR)
    assert life.wrong_at() == HOUR

    life.answers(RUNNING, at=MINUTE, started_at=NOW, created_at=NOW - HOUR)
    assert life.known.began_at == NOW


def test_a_retry_has_all_the_time_though_the_end_before_was_not_seen() -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta(), started_at=NOW - HOUR)
    life.answers(job(2, step(2, attempt=1)), at=MINUTE, started_at=NOW - HOUR)

    assert life.known.began_at == NOW + MINUTE


def test_a_start_that_is_yet_to_come_is_not_believed() -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta(), started_at=NOW + 8 * HOUR)

    assert "raised job_overdue warning" in life.says_the_same(at=2 * HOUR)


def test_a_retry_has_all_the_time_of_a_run_though_job_keeps_the_first_start() -> None:
    yesterday = NOW - timedelta(days=1)
    retried = job(2, step(2, hosts(_1=5), attempt=1))
    life = Life()
    life.answers(job(4, step(4, hosts(_1=9))), at=timedelta(), started_at=yesterday)

    assert life.answers(retried, at=HOUR, started_at=yesterday) == []
    assert life.wrong_at(HOUR) == 2 * HOUR
    assert "raised job_overdue warning" in life.says_the_same(at=3 * HOUR)


def test_a_retry_that_is_under_way_at_first_sight_began_nobody_knows_when() -> None:
    retried = job(2, step(2, hosts(_1=5), attempt=1))

    assert Life().answers(retried, at=timedelta(), started_at=NOW - 9 * HOUR) == []


def test_a_watch_says_itself_how_long_its_run_may_take() -> None:
    options = Options(overdue_after=5 * HOUR, severity=Severity.CRITICAL)

    assert POLICY.within(options) == Policy(
        severity=Severity.CRITICAL, overdue_after=5 * HOUR, stalled_after=HOUR
    )
    assert POLICY.within(Options()) is POLICY


def test_what_was_overdue_by_past_runs_stays_so_however_long_others_take() -> None:
    life = Life(PATIENT.after_runs_of(600))
    life.answers(RUNNING, at=timedelta())
    assert life.says_the_same(at=15 * MINUTE) == [
        "raised job_overdue warning (past_runs)"
    ]

    life.policy = PATIENT.after_runs_of(6000)
    assert life.says_the_same(at=16 * MINUTE) == []
    assert life.known.alerts[Name.JOB_OVERDUE].limit == 15 * MINUTE


def test_nobody_minds_the_first_five_minutes() -> None:
    assert PATIENT.after_runs_of(1).overdue_after == 5 * MINUTE
    assert PATIENT.after_runs_of(3600).overdue_after == 90 * MINUTE


def test_what_a_watch_says_wins_over_past_runs() -> None:
    learns = structs.replace(PATIENT, overdue_percentile=95.0)

    assert learns.within(Options(overdue_after=HOUR)).overdue_percentile is None
    assert learns.within(Options(stalled_after=HOUR)).overdue_percentile == 95


def test_a_job_in_which_nothing_moves_is_stalled() -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta())

    assert life.says_the_same(at=HOUR - SECOND) == []
    assert life.says_the_same(at=HOUR) == ["raised job_stalled warning"]
    assert life.says_the_same(at=HOUR + MINUTE) == []


def test_whatever_moves_ends_the_stall() -> None:
    for onwards in (ONE_DONE, job(7, *RUNNING.steps), job(2, step(10)), job(3)):
        life = Life(structs.replace(PATIENT, stalled_after=HOUR))
        life.answers(RUNNING, at=timedelta())
        life.says_the_same(at=HOUR)

        assert "resolved job_stalled warning" in life.answers(onwards, at=2 * HOUR)


def test_a_time_of_jobs_own_that_moved_on_ends_the_stall_as_well() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(RUNNING, at=timedelta())
    life.says_the_same(at=HOUR)

    again = life.answers(RUNNING, at=2 * HOUR, started_at=NOW + 2 * HOUR - SECOND)
    assert again == ["resolved job_stalled warning"]


def test_what_job_says_has_yet_to_come_is_no_stall() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(RUNNING, at=timedelta(), started_at=NOW + 3 * HOUR)

    assert life.says_the_same(at=2 * HOUR) == []
    assert life.says_the_same(at=4 * HOUR) == ["raised job_stalled warning"]


def test_who_waits_for_a_person_is_not_stalled() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(job(7, step(7)), at=timedelta())

    assert life.says_the_same(at=9 * HOUR) == []


def test_a_stop_that_never_comes_to_its_end_is_stalled() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(job(10, step(7)), at=timedelta())

    assert life.says_the_same(at=HOUR) == ["raised job_stalled warning"]


def test_a_stall_is_not_believed_while_hosts_were_not_asked_for() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(RUNNING, at=timedelta())

    assert life.says_the_same(at=HOUR, whole=False) == []
    assert life.wrong_at(HOUR) == HOUR
    assert life.says_the_same(at=2 * HOUR) == ["raised job_stalled warning"]
    assert life.says_the_same(at=3 * HOUR, whole=False) == []


def test_hosts_that_moved_unseen_prove_that_nothing_stalled() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(RUNNING, at=timedelta())
    life.says_the_same(at=2 * HOUR, whole=False)

    assert life.answers(ONE_DONE, at=2 * HOUR + SECOND) == []
    assert life.wrong_at(2 * HOUR) == 3 * HOUR + SECOND


def test_after_an_outage_time_that_nobody_saw_counts_only_if_job_tells_times() -> None:
    began = {"started_at": NOW - MINUTE}
    for proof, told in (({}, []), (began, ["raised job_stalled warning"])):
        life = Life(structs.replace(PATIENT, stalled_after=HOUR))
        life.answers(RUNNING, at=timedelta(), **proof)
        life.seen_since = NOW + 5 * HOUR

        assert life.says_the_same(at=5 * HOUR) == told
        assert life.told == told


def test_an_outage_does_not_end_a_stall() -> None:
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(RUNNING, at=timedelta())
    life.says_the_same(at=HOUR)
    life.seen_since = NOW + 5 * HOUR

    assert life.says_the_same(at=5 * HOUR) == []
    assert [*life.known.alerts] == [Name.JOB_STALLED]


def test_another_limit_is_judged_anew() -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta())
    life.says_the_same(at=2 * HOUR)
    life.policy = structs.replace(POLICY, overdue_after=5 * HOUR)

    assert life.says_the_same(at=2 * HOUR) == ["resolved job_overdue warning"]
    assert life.says_the_same(at=5 * HOUR) == ["raised job_overdue warning"]


def test_the_severity_of_the_watch_wins_for_these_as_well() -> None:
    life = Life(structs.replace(POLICY, severity=Severity.CRITICAL))
    life.answers(RUNNING, at=timedelta())

    assert life.says_the_same(at=2 * HOUR) == [
        "raised job_stalled critical",
        "raised job_overdue critical",
    ]


def test_of_what_is_gone_or_not_watched_time_makes_nothing_wrong() -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta())
    life.ends(Phase.UNWATCHED, at=HOUR)

    assert life.says_the_same(at=9 * HOUR) == []
    assert life.wrong_at() is None
    gone = state.gone(State(key=str(KEY)), FRAME, NOW)
    assert gone is not None
    assert state.seen_again(gone.state, FRAME, NOW + 9 * HOUR) is None


LEFT = job(4, step(4, hosts(_1=7, _2=9, _3=104)))


def about_unfinished(told: list[str]) -> list[str]:
    return [line for line in told if "hosts_unfinished" in line]


def test_hosts_left_unfinished_are_believed_at_the_second_look() -> None:
    life = Life()

    assert about_unfinished(life.answers(LEFT, at=timedelta())) == []
    assert life.wrong_at() == timedelta()
    assert life.says_the_same(at=SECOND) == ["raised hosts_unfinished warning"]
    assert life.wrong_at() is None
    assert life.says_the_same(at=MINUTE) == []


def test_a_torn_answer_leaves_nobody_behind() -> None:
    life = Life()
    life.answers(job(3, step(2, hosts(_1=7))), at=timedelta())

    assert life.answers(job(3, step(3, hosts(_1=9))), at=SECOND) == []


def test_the_second_look_must_ask_for_hosts() -> None:
    life = Life()
    life.answers(LEFT, at=timedelta())

    assert life.says_the_same(at=SECOND, whole=False) == []
    assert life.says_the_same(at=2 * SECOND) == ["raised hosts_unfinished warning"]


def test_the_alert_counts_those_who_were_left_and_ends_when_they_end() -> None:
    both = job(4, step(4, hosts(_1=7, _2=5)))
    life = Life()
    life.answers(both, at=timedelta())
    life.says_the_same(at=SECOND)
    [alert] = [a for a in life.known.alerts.values() if a.unfinished]
    assert (alert.unfinished, alert.total) == (2, 2)

    one = job(4, step(4, hosts(_1=9, _2=5)))
    assert life.answers(one, at=MINUTE) == ["changed hosts_unfinished warning"]
    done = job(4, step(4, hosts(_1=9, _2=9)))
    assert life.answers(done, at=HOUR) == ["resolved hosts_unfinished warning"]


def test_a_step_that_never_began_leaves_nobody_behind() -> None:
    life = Life()
    life.answers(job(4, step(4), step(1, hosts(_1=5), number=STEPS[1])), at=SECOND)

    assert life.wrong_at() is None
    assert life.says_the_same(at=MINUTE) == []


def test_a_host_of_which_nothing_was_said_is_not_called_unfinished() -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta())
    life.answers(job(4, step(4, hosts(_2=9))), at=SECOND)

    assert about_unfinished(life.says_the_same(at=MINUTE)) == []


def test_those_who_were_left_are_not_forgotten_while_a_retry_runs() -> None:
    retry = job(2, step(2, hosts(_1=5), attempt=1))
    life = Life(PATIENT)
    life.answers(LEFT, at=timedelta())
    life.says_the_same(at=SECOND)

    assert about_unfinished(life.answers(retry, at=MINUTE)) == []
    well = life.answers(job(3, step(3, hosts(_1=9), attempt=1)), at=HOUR)
    assert about_unfinished(well) == ["resolved hosts_unfinished warning"]


class Look(Struct, frozen=True):
    """After *pause* JOB says *answer*, or what it said before."""

    pause: timedelta
    answer: Snapshot | None


def looks() -> st.SearchStrategy[list[Look]]:
    pauses = st.sampled_from([SECOND, MINUTE, 45 * MINUTE, 3 * HOUR, -HOUR])
    return st.lists(st.builds(Look, pauses, st.none() | builders.a_snapshot()))


TIMED = {Name.JOB_OVERDUE, Name.JOB_STALLED}


def lived(story: list[Look]) -> Iterator[tuple[State, Look, State]]:
    life, at = Life(), timedelta()
    for look in story:
        before, at = life.known, at + look.pause
        if look.answer is None:
            life.says_the_same(at)
        else:
            life.answers(look.answer, at)
        yield before, look, life.known


def timed(known: State) -> dict[str, Alert]:
    return {id_: a for id_, a in known.alerts.items() if a.name in TIMED}


@laws
@given(looks())
def test_what_time_made_wrong_ends_by_what_is_seen_alone(story: list[Look]) -> None:
    for before, look, after in lived(story):
        ended = timed(before).keys() - timed(after).keys()

        if ended:
            assert look.answer is not None
        if Name.JOB_OVERDUE in ended:
            assert after.snapshot is not None
            assert after.snapshot.finished


@laws
@given(looks())
def test_a_clock_that_is_set_back_raises_nothing(story: list[Look]) -> None:
    for before, look, after in lived(story):
        if look.answer is None and look.pause < timedelta():
            assert timed(after) == timed(before)


@laws
@given(looks())
def test_the_same_answer_at_the_same_moment_is_nothing_new(
    story: list[Look],
) -> None:
    life, at = Life(), timedelta()
    for look in story:
        at += look.pause
        if look.answer is not None:
            life.answers(look.answer, at)
        life.says_the_same(at)

        assert life.says_the_same(at) == []
        assert life.says_the_same(at, whole=False) == []


@laws
@given(builders.a_snapshot())
def test_time_alone_raises_each_once_and_exactly_when_it_was_foretold(
    answer: Snapshot,
) -> None:
    life = Life()
    life.answers(answer, timedelta())
    held = len(life.known.alerts)
    while (foretold := life.wrong_at()) is not None:
        if foretold > timedelta():
            assert life.says_the_same(foretold - SECOND / 1000) == []
        told = life.says_the_same(foretold)

        assert told
        assert all(line.startswith("raised") for line in told)
        held += len(told)

    assert life.says_the_same(timedelta(days=90)) == []
    assert len(life.known.alerts) == held


@pytest.mark.parametrize("name", [Name.JOB_OVERDUE, Name.JOB_STALLED])
def test_what_was_raised_is_remembered_with_its_limit(name: Name) -> None:
    life = Life()
    life.answers(RUNNING, at=timedelta())
    life.says_the_same(at=2 * HOUR)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(life.known), type=State)

    assert stored == life.known
    assert stored.alerts[name].limit is not None


def test_a_step_of_which_rows_were_not_asked_for_is_no_proof() -> None:
    light = Step(step_instance_id=STEPS[0], status=2, name="push", partial=True)
    life = Life(structs.replace(PATIENT, stalled_after=HOUR))
    life.answers(RUNNING, at=timedelta())

    assert life.answers(job(2, light), at=2 * HOUR) == []
    assert life.answers(RUNNING, at=2 * HOUR) == ["raised job_stalled warning"]
