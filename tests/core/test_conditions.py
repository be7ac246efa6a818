import pytest
from hypothesis import given, settings

from monitor.core import conditions, state, transitions
from monitor.core.alerts import Alert, Name, Stage
from monitor.core.model import Snapshot
from monitor.core.overtime import Course
from monitor.core.policy import Policy
from monitor.core.state import State
from monitor.core.transitions import Attempt
from monitor.core.watch import Options, Severity
from tests.core import builders
from tests.core.builders import FRAME, KEY, NOW, STEPS, hosts, job, step

laws = settings(max_examples=60, deadline=None)

AT_ONCE = Course(now=NOW, began_at=NOW, moved_at=NOW)
WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def holding(*story: Snapshot) -> list[Alert]:
    """List what holds after the last of *story*."""
    before, after = None, transitions.merged(None, story[0])
    for answer in story[1:]:
        before, after = after, transitions.merged(after, answer)
    return [*conditions.holding({}, before, after, AT_ONCE)]


def names(*story: Snapshot) -> list[tuple[str, str]]:
    return [(alert.id, alert.severity) for alert in holding(*story)]


@pytest.mark.parametrize(
    ("status", "severity"),
    [
        *[(status, WARNING) for status in (8, 11, 13)],
        *[(status, CRITICAL) for status in (4, 9, 12, 14)],
    ],
)
def test_a_failed_end_of_a_job_is_an_alert(status: int, severity: Severity) -> None:
    assert names(job(status)) == [("job_failed", severity)]


@pytest.mark.parametrize("status", [1, 2, 3, 5, 6, 10, 15, 0, -1, 99])
def test_no_other_status_of_a_job_is_an_alert(status: int) -> None:
    assert names(job(status)) == []


@pytest.mark.parametrize(
    ("status", "severity"), [(2, CRITICAL), (4, CRITICAL), (6, WARNING), (5, CRITICAL)]
)
def test_failed_hosts_are_an_alert_of_their_step_whatever_its_status(
    status: int, severity: Severity
) -> None:
    assert names(job(3, step(status, hosts(_1=104)))) == [
        (f"hosts_failed/{STEPS[0]}", severity)
    ]


def test_each_step_with_failed_hosts_has_an_alert_of_its_own() -> None:
    failed = job(4, step(6, hosts(_1=104)), step(4, hosts(_1=11), number=STEPS[1]))

    assert names(failed) == [
        (f"hosts_failed/{STEPS[0]}", WARNING),
        (f"hosts_failed/{STEPS[1]}", CRITICAL),
        ("job_failed", CRITICAL),
    ]


def test_a_job_that_runs_again_has_not_recovered_yet() -> None:
    assert names(job(4), job(2)) == [("job_failed", CRITICAL)]
    assert names(job(4), job(2), job(3)) == []


def test_each_newly_failed_host_is_one_occasion() -> None:
    first, second = job(2, step(2, hosts(_1=104, _2=7))), hosts(_1=104, _2=11, _3=11)

    assert [a.occasions for a in holding(first)] == [1]
    assert [a.occasions for a in holding(first, job(2, step(2, second)))] == [2]
    assert [a.occasions for a in holding(first, first)] == [0]


def test_each_failed_end_of_a_job_is_one_occasion() -> None:
    assert [a.occasions for a in holding(job(4))] == [1]
    assert [a.occasions for a in holding(job(4), job(4))] == [0]
    assert [a.occasions for a in holding(job(4), job(2))] == [0]
    assert [a.occasions for a in holding(job(4), job(2), job(4))] == [1]
    assert [a.occasions for a in holding(job(4), job(11))] == [1]


def test_failed_hosts_stand_under_the_attempt_in_which_they_failed() -> None:
    first = job(4, step(4, hosts(_1=9, _2=104)))
    again = job(2, step(2, hosts(_1=9, _2=5), attempt=1))
    failed = job(4, step(4, hosts(_1=9, _2=104), attempt=1))

    assert holding(first, again)[0].attempt == Attempt(STEPS[0], 0, "push")
    assert holding(first, again, failed)[0].attempt == Attempt(STEPS[0], 1, "push")


MILD_AT_FIRST = Policy(
    severities={
        Stage.EARLY: WARNING,
        Stage.HIDDEN: CRITICAL,
        Name.JOB_FAILED: WARNING,
        Name.JOB_WAITING: CRITICAL,
    }
)


def lived_through(*story: Snapshot) -> list[tuple[str, str, str | None]]:
    """Say how what holds was judged at each look of *story*."""
    known = State(key=str(KEY))
    told: list[tuple[str, str, str | None]] = []
    for answer in story:
        change = state.seen(known, answer, FRAME, NOW, policy=MILD_AT_FIRST)
        known = change.state if change else known
        told += [(a.name, a.severity, a.stage) for a in known.alerts.values()]
    return told


def test_failed_hosts_are_as_bad_as_is_said_of_how_far_their_step_has_come() -> None:
    failed = hosts(_1=104, _2=7)

    assert lived_through(
        job(2, step(2, failed)), job(2, step(4, failed)), job(2, step(6, failed))
    ) == [
        ("hosts_failed", WARNING, "early"),
        ("hosts_failed", CRITICAL, "final"),
        ("hosts_failed", CRITICAL, "hidden"),
    ]


def test_a_retry_and_the_next_batch_do_not_make_a_failure_early_again() -> None:
    failed = hosts(_1=104, _2=7)

    for onwards in (step(15, failed), step(2, failed, attempt=1)):
        assert lived_through(job(2, step(4, failed)), job(2, onwards)) == [
            ("hosts_failed", CRITICAL, "final"),
            ("hosts_failed", CRITICAL, "final"),
        ]


def test_other_kinds_are_as_bad_as_is_said_too() -> None:
    assert lived_through(job(4), job(7)) == [
        ("job_failed", WARNING, None),
        ("job_failed", WARNING, None),
        ("job_waiting", CRITICAL, None),
    ]


def test_what_a_watch_says_wins_over_all_of_it() -> None:
    policy = MILD_AT_FIRST.within(Options(severity=CRITICAL))
    kinds = [*Stage, *Name]

    assert {policy.severity_of(kind, status=8) for kind in kinds} == {CRITICAL}


def test_a_step_that_needs_a_person_is_an_alert_of_its_own() -> None:
    waiting = job(7, step(3), step(7, number=STEPS[1]))

    assert names(waiting) == [(f"job_waiting/{STEPS[1]}", WARNING)]
    assert names(job(2, step(7))) == [(f"job_waiting/{STEPS[0]}", WARNING)]


def test_a_job_that_needs_a_person_is_an_alert_whatever_its_steps_say() -> None:
    assert names(job(7)) == [("job_waiting", WARNING)]
    assert names(job(7, step(3))) == [("job_waiting", WARNING)]


def test_nobody_can_confirm_what_is_being_stopped_or_over() -> None:
    for status in (10, 11, 13, 3):
        waiting = [name for name, _ in names(job(status, step(7))) if "waiting" in name]
        assert waiting == []


def test_another_confirmation_is_another_alert_though_the_run_between_was_unseen() -> (
    None
):
    first = job(7, step(7), step(1, number=STEPS[1]))
    second = job(7, step(3), step(7, number=STEPS[1]))

    assert names(first) == [(f"job_waiting/{STEPS[0]}", WARNING)]
    assert names(first, second) == [(f"job_waiting/{STEPS[1]}", WARNING)]
    assert names(first, second, job(2, step(3), step(2, number=STEPS[1]))) == []


@laws
@given(builders.answers())
def test_hidden_failures_are_found_in_every_step(story: list[Snapshot]) -> None:
    before = None
    for answer in story:
        after = transitions.merged(before, answer)
        found = {
            alert.attempt: (alert.failed, alert.total)
            for alert in conditions.holding({}, before, after, AT_ONCE)
            if alert.name is Name.HOSTS_FAILED
        }

        assert found == {
            Attempt(
                known.step_instance_id,
                max(failure.execute_count for failure in known.failures.values()),
                known.name,
            ): (len(known.failures), len(known.hosts))
            for known in after.steps
            if known.failures
        }
        before = after
