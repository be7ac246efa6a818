"""How bad each kind of alert is, and when it is told, as it is configured."""

from datetime import timedelta
from pathlib import Path

import pytest

from monitor import wiring
from monitor.core import obstacle
from monitor.core.alerts import Alert, Name, Stage
from monitor.core.member import Member
from monitor.core.policy import Policy, Trouble
from monitor.core.telling import Obstacle, WhyNot
from monitor.core.watch import Severity
from monitor.settings.model import AlertSettings
from tests.core.builders import NOW, SECOND
from tests.settings.written import SOURCE, faults, loaded

WARNING, CRITICAL = Severity.WARNING, Severity.CRITICAL
KINDS: tuple[Trouble, ...] = (*Stage, *Name)


def configured(directory: Path, alerts: str) -> AlertSettings:
    return loaded(directory, f"{SOURCE}alerts:\n  {alerts}\n").alerts


def kept_from(alerts: AlertSettings, alert: Alert, after: int = 0) -> Obstacle | None:
    """Say what keeps *alert* from being told so many seconds *after* it began."""
    now, rules = NOW + after * SECOND, wiring.telling_rules(alerts)
    return obstacle.found(alert, Member(key="prod/biz/2/1"), now, rules)


def an_alert(name: Name, stage: Stage | None = None) -> Alert:
    return Alert(name=name, severity=WARNING, since=NOW, failed=1, total=1, stage=stage)


def test_what_is_not_configured_is_as_bad_as_ever() -> None:
    policy = wiring.policy(AlertSettings())

    assert {kind: policy.severity_of(kind) for kind in KINDS} == {
        kind: Policy().severity_of(kind) for kind in KINDS
    }
    assert policy.severity_of(Name.JOB_FAILED, 11) is WARNING


def test_each_kind_may_be_as_bad_as_somebody_says(tmp_path: Path) -> None:
    alerts = configured(
        tmp_path,
        "{job_failed: {severity: critical}, job_waiting: {severity: critical},"
        " hosts_failed: {severity: {early: warning}}}",
    )
    policy = wiring.policy(alerts)

    assert policy.severity_of(Name.JOB_FAILED, 11) is CRITICAL
    assert policy.severity_of(Name.JOB_WAITING) is CRITICAL
    assert policy.severity_of(Name.JOB_OVERDUE) is WARNING
    assert [policy.severity_of(s) for s in Stage] == [WARNING, CRITICAL, WARNING]


@pytest.mark.parametrize("name", [n for n in Name if n is not Name.HOSTS_FAILED])
def test_a_kind_may_be_told_to_nobody_and_is_recorded_all_the_same(
    tmp_path: Path, name: Name
) -> None:
    alerts = configured(tmp_path, f"{name}: {{severity: none}}")

    unrouted = Obstacle(WhyNot.UNROUTED, f"{name} is told to nobody")
    assert kept_from(alerts, an_alert(name)) == unrouted
    assert wiring.policy(alerts).severity_of(name) == Policy().severity_of(name)


def test_so_may_be_failed_hosts_at_one_stage(tmp_path: Path) -> None:
    alerts = configured(tmp_path, "hosts_failed: {severity: {hidden: none}}")

    hidden, final = (
        kept_from(alerts, an_alert(Name.HOSTS_FAILED, stage))
        for stage in (Stage.HIDDEN, Stage.FINAL)
    )
    assert hidden == Obstacle(
        WhyNot.UNROUTED, "hosts_failed, hidden, is told to nobody"
    )
    assert final is None


@pytest.mark.parametrize("name", Name)
def test_a_kind_may_have_to_hold_for_a_while_before_it_is_told(
    tmp_path: Path, name: Name
) -> None:
    alerts = configured(tmp_path, f"{name}: {{for: 10m}}")

    waiting = kept_from(alerts, an_alert(name), after=599)
    assert waiting is not None
    assert (waiting.reason, waiting.until) == (
        WhyNot.PENDING,
        NOW + timedelta(minutes=10),
    )
    assert kept_from(alerts, an_alert(name), after=600) is None


def test_a_key_that_is_written_wrongly_is_named_with_the_right_one(
    tmp_path: Path,
) -> None:
    text = f"{SOURCE}alerts:\n  job_waiting: {{severty: none, fo: 5m}}\n"

    assert [line.rpartition(";")[2] for line in faults(tmp_path, text)] == [
        " did you mean 'severity'?",
        " did you mean 'for'?",
    ]


def test_what_is_in_effect_is_shown_under_the_names_that_are_read() -> None:
    shown = AlertSettings().model_dump()

    assert shown["job_gone"] == {"for": timedelta(0), "severity": "warning"}


def least_settle(directory: Path, text: str) -> timedelta:
    settings = loaded(directory, f"{SOURCE}{text}")
    return wiring.rules(settings, settings.sources["prod"]).least_settle


@pytest.mark.parametrize(
    "text",
    [
        "alerts: {hosts_unfinished: {for: 2h}}",
        "alerts: {job_failed: {for: 2h}}",
        "alerts: {settle_for: 2h}",
        "routes: [{sinks: [log], routes: [{sinks: [log], settle_for: 2h}]}]",
        "routes: [{sinks: [log], after: 2h}]",
    ],
)
def test_nobody_is_retired_before_the_last_who_waits_is_told(
    tmp_path: Path, text: str
) -> None:
    at_once = least_settle(tmp_path, "")

    assert at_once == timedelta(seconds=10)
    assert least_settle(tmp_path, text) == timedelta(hours=2) + at_once


def test_a_run_that_takes_long_does_not_keep_anybody_watched(tmp_path: Path) -> None:
    told = least_settle(tmp_path, "alerts: {job_overdue: {for: 2h}}")

    assert told == timedelta(seconds=10)
