from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from msgspec import structs

from monitor.core import alerts, transitions
from monitor.core.alerts import Alert, Change, Kind, Name
from monitor.core.model import Snapshot
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from tests.core import builders
from tests.core.builders import NOW, SECOND, STEPS, hosts, job, step

laws = settings(max_examples=60, deadline=None)

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


def holding(*story: Snapshot) -> list[Alert]:
    """List what holds after the last of *story*."""
    before, after = None, transitions.merged(None, story[0])
    for answer in story[1:]:
        before, after = after, transitions.merged(after, answer)
    return [*alerts.conditions(before, after, NOW)]


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


@pytest.mark.parametrize("status", [1, 2, 3, 5, 6, 7, 10, 15, 0, -1, 99])
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


def an_alert(name: Name = Name.JOB_FAILED, *, occasions: int = 1) -> Alert:
    return Alert(name=name, severity=CRITICAL, since=NOW, occasions=occasions)


def test_what_holds_and_was_not_held_is_raised() -> None:
    held, changes = alerts.settled({}, [an_alert()])

    assert held == {"job_failed": an_alert()}
    assert changes == (Change(kind=Kind.RAISED, alert=an_alert()),)


def test_what_is_raised_has_at_least_one_occasion() -> None:
    held, _ = alerts.settled({}, [an_alert(occasions=0)])

    assert held["job_failed"].occasions == 1


def test_what_holds_on_as_it_was_is_no_change() -> None:
    held, _ = alerts.settled({}, [an_alert()])
    later = structs.replace(an_alert(occasions=0), since=NOW + SECOND)

    assert alerts.settled(held, [later]) == (held, ())


def test_what_holds_otherwise_is_changed_and_keeps_its_beginning() -> None:
    held, _ = alerts.settled({}, [an_alert(occasions=2)])
    later = structs.replace(
        an_alert(occasions=3), since=NOW + timedelta(hours=1), severity=WARNING
    )

    after = structs.replace(later, since=NOW, occasions=5)
    assert alerts.settled(held, [later]) == (
        {"job_failed": after},
        (Change(kind=Kind.CHANGED, alert=after),),
    )


def failed_hosts(**fields: Any) -> Alert:
    alert = Alert(name=Name.HOSTS_FAILED, severity=CRITICAL, since=NOW, occasions=0)
    first = structs.replace(
        alert, attempt=Attempt(STEPS[0], 0, "push"), status=4, failed=2, total=9
    )
    return structs.replace(first, **fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"severity": WARNING},
        {"failed": 1},
        {"occasions": 1},
        {"attempt": Attempt(STEPS[0], 1, "push")},
    ],
)
def test_severity_failed_hosts_attempt_and_occasions_are_what_changes_an_alert(
    fields: dict[str, Any],
) -> None:
    held, _ = alerts.settled({}, [failed_hosts()])

    after, (change,) = alerts.settled(held, [failed_hosts(**fields)])

    assert change.kind is Kind.CHANGED
    assert after == {change.alert.id: change.alert}


def test_the_status_of_a_step_and_its_hosts_in_all_are_taken_in_silently() -> None:
    held, _ = alerts.settled({}, [failed_hosts()])
    id_ = failed_hosts().id

    after, changes = alerts.settled(held, [failed_hosts(status=2, total=10)])

    assert changes == ()
    assert after == {id_: structs.replace(held[id_], status=2, total=10)}


def test_failed_hosts_stand_under_the_attempt_in_which_they_failed() -> None:
    first = job(4, step(4, hosts(_1=9, _2=104)))
    again = job(2, step(2, hosts(_1=9, _2=5), attempt=1))
    failed = job(4, step(4, hosts(_1=9, _2=104), attempt=1))

    assert holding(first, again)[0].attempt == Attempt(STEPS[0], 0, "push")
    assert holding(first, again, failed)[0].attempt == Attempt(STEPS[0], 1, "push")


def test_what_holds_no_longer_is_resolved_after_all_else() -> None:
    held, _ = alerts.settled({}, [an_alert()])
    gone = an_alert(Name.JOB_GONE)

    assert alerts.settled(held, [gone], why_ended="unwatched") == (
        {"job_gone": gone},
        (
            Change(kind=Kind.RAISED, alert=gone),
            Change(kind=Kind.RESOLVED, alert=an_alert(), reason="unwatched"),
        ),
    )


@laws
@given(builders.answers())
def test_hidden_failures_are_found_in_every_step(story: list[Snapshot]) -> None:
    before = None
    for answer in story:
        after = transitions.merged(before, answer)
        found = {
            alert.attempt: (alert.failed, alert.total)
            for alert in alerts.conditions(before, after, NOW)
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
