from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from monitor.core import alerts
from monitor.core.alerts import Alert, Change, Kind, Name
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from tests.core.builders import NOW, SECOND, STEPS

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL


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
