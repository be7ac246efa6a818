from datetime import timedelta
from typing import Any

import pytest

from monitor.core import discovery
from monitor.core.discovery import Rule
from monitor.core.listing import Filter, Row
from monitor.core.watch import Options, Place, Severity, Watch
from tests.support.answers import KEY
from tests.support.clock import MORNING

PLACE = Place("list.yaml", 3, 5)
DAYS = timedelta(days=30)


def a_rule(**said: Any) -> Rule:
    return Rule(source="prod", scope_type="biz", scope_id="2", place=PLACE, **said)


def a_row(**said: Any) -> Row:
    plain: dict[str, Any] = {
        "key": KEY,
        "status": 2,
        "created_at": MORNING,
        "name": "deploy-web",
    }
    return Row(**(plain | said))


@pytest.mark.parametrize(
    ("rule", "row", "expected"),
    [
        ({}, {}, True),
        ({"name": "deploy-*"}, {}, True),
        ({"name": "deploy-w?b"}, {}, True),
        ({"name": "deploy"}, {}, False),
        ({"name": "Deploy-*"}, {}, False),
        ({"name": "*[ab]*"}, {"name": "x[ab]y"}, True),
        ({"name": "*[ab]*"}, {"name": "xay"}, False),
        ({"name": "a*b"}, {"name": "a\nb"}, True),
        ({"operator": "admin"}, {"operator": "admin"}, True),
        ({"operator": "admin"}, {"operator": "Admin"}, False),
        ({"launch_mode": 1}, {"launch_mode": 1}, True),
        ({"launch_mode": 1}, {}, False),
        ({"type": 0}, {"type": 0}, True),
        ({"type": 0}, {"type": 1}, False),
        ({"statuses": frozenset({2, 4})}, {}, True),
        ({"statuses": frozenset({3, 4})}, {}, False),
        ({}, {"created_at": MORNING - timedelta(hours=1)}, True),
        ({}, {"created_at": MORNING - timedelta(hours=1, seconds=1)}, False),
        ({}, {"created_at": MORNING + timedelta(hours=9)}, True),
    ],
)
def test_a_row_is_judged_by_all_that_the_rule_says(
    rule: dict[str, Any],
    row: dict[str, Any],
    expected: bool,  # noqa: FBT001
) -> None:
    assert discovery.matches(a_rule(**rule), a_row(**row), MORNING) is expected


def test_a_row_of_another_scope_is_never_meant() -> None:
    other = Rule(source="prod", scope_type="biz", scope_id="3", place=PLACE)

    assert not discovery.matches(other, a_row(), MORNING)


def test_a_hostile_name_costs_no_time() -> None:
    rule = a_rule(name="*a" * 100 + "b")

    assert not discovery.matches(rule, a_row(name="a" * 5_000), MORNING)


def test_labels_may_take_something_from_the_row() -> None:
    rule = a_rule(
        labels={
            "team": "sre",
            "job": "{name} of {operator}",
            "plan": "{plan_id}",
            "by": "{launch_mode}",
        },
        options=Options(severity=Severity.WARNING),
    )
    row = a_row(operator="admin", plan_id=1001, launch_mode=3)

    assert discovery.watch_of(rule, row) == Watch(
        key=KEY,
        labels={
            "team": "sre",
            "job": "deploy-web of admin",
            "plan": "1001",
            "by": "cron",
        },
        options=Options(severity=Severity.WARNING),
        place=PLACE,
        rule="prod/biz/2",
    )


@pytest.mark.parametrize(
    ("row", "label"),
    [
        ({"name": "a\x1b[31m\n\u202eb"}, "a\ufffd[31m\ufffd\ufffdb"),
        ({"name": "{operator}"}, "{operator}"),
        ({"name": "x" * 1_000}, "x" * 256),
        ({"name": ""}, None),
    ],
)
def test_what_a_row_says_is_bounded_and_printable(
    row: dict[str, Any], label: str | None
) -> None:
    found = discovery.watch_of(a_rule(labels={"job": "{name}"}), a_row(**row))

    assert found.labels.get("job") == label


@pytest.mark.parametrize("said", [{"plan_id": -1}, {"plan_id": None}])
def test_no_plan_and_no_mode_are_no_labels(said: dict[str, Any]) -> None:
    rule = a_rule(labels={"plan": "{plan_id}", "by": "{launch_mode}"})

    assert discovery.watch_of(rule, a_row(**said)).labels == {}


def test_a_mode_that_nobody_knows_stays_its_number() -> None:
    found = discovery.watch_of(
        a_rule(labels={"by": "{launch_mode}"}), a_row(launch_mode=9)
    )

    assert found.labels == {"by": "9"}


def test_a_watch_says_what_its_rule_says_by_now() -> None:
    before = a_rule(labels={"job": "{name}", "team": "sre"})
    watch = discovery.watch_of(before, a_row())
    after = a_rule(
        labels={"job": "{name}", "team": "dba", "by": "{operator}"},
        options=Options(severity=Severity.CRITICAL),
    )

    renewed = discovery.renewed(after, watch)

    assert renewed.labels == {"job": "deploy-web", "team": "dba"}
    assert renewed.options == Options(severity=Severity.CRITICAL)
    assert (renewed.key, renewed.rule) == (watch.key, watch.rule)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, Filter()),
        ({"name": "*web_1*"}, Filter(name="web_1")),
        ({"name": "web*"}, Filter()),
        ({"name": "*w?b*"}, Filter()),
        ({"name": r"*w\b*"}, Filter()),
        ({"name": "**"}, Filter()),
        (
            {"operator": "admin", "launch_mode": 1, "type": 0},
            Filter(operator="admin", launch_mode=1, type=0),
        ),
        ({"statuses": frozenset({4})}, Filter(status=4)),
        ({"statuses": frozenset({4, 9})}, Filter()),
    ],
)
def test_job_filters_only_by_what_it_understands_as_we_do(
    said: dict[str, Any], expected: Filter
) -> None:
    query = discovery.first_query(a_rule(**said), MORNING, None, DAYS)

    assert query.filter == expected


def test_the_first_question_reaches_back_as_far_as_the_rule() -> None:
    query = discovery.first_query(a_rule(), MORNING, None, DAYS)

    assert (query.since, query.until) == (
        MORNING - timedelta(hours=1),
        MORNING + timedelta(days=1),
    )


def test_no_question_reaches_further_than_the_api_allows() -> None:
    rule = a_rule(age=timedelta(days=30))

    query = discovery.first_query(rule, MORNING, None, DAYS)

    assert query.until - query.since == DAYS
    assert discovery.since(rule, MORNING, None) == MORNING - DAYS


def test_what_was_read_is_not_read_again_but_for_a_little() -> None:
    mark = MORNING - timedelta(minutes=20)

    assert discovery.since(a_rule(), MORNING, mark) == MORNING - timedelta(minutes=25)


def test_a_status_may_change_so_that_all_is_read_again() -> None:
    rule = a_rule(statuses=frozenset({4}))

    assert discovery.since(rule, MORNING, MORNING) == MORNING - timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("failed", 4),
        ("Force-Stopped", 11),
        ("waiting_for_a_person", 7),
        ("执行失败", 4),
        ("4", 4),
        ("77", 77),
        ("green", None),
    ],
)
def test_a_status_is_a_name_or_a_number(text: str, number: int | None) -> None:
    assert discovery.status(text) == number
