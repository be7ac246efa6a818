from datetime import timedelta
from pathlib import Path

import pytest

from monitor.core.discovery import Rule
from monitor.core.watch import Options, Place, Severity
from monitor.watchlist import listing
from monitor.watchlist.files import Files
from tests.watchlist.reading import SOURCES, faults, keys, parsed

RULES = """\
defaults:
  source: stag
  severity: critical
  labels: {team: sre}
discover:
  - bk_biz_id: 2
  - bk_scope_type: biz_set
    bk_scope_id: 9
    source: prod
    name: "deploy-*"
    operator: admin
    launch_mode: web
    type: job
    status: [failed, waiting for a person, 手动结束, 11]
    age: 2d
    every: 1m
    most: 500
    settle: 1h
    severity: null
    labels: {job: "{name}", by: "{operator}"}
"""


def test_a_rule_says_what_to_look_for_and_how_to_watch_it() -> None:
    found = parsed("list.yaml", RULES)

    assert faults(found) == []
    assert found.rules == (
        Rule(
            source="stag",
            scope_type="biz",
            scope_id="2",
            labels={"team": "sre"},
            options=Options(severity=Severity.CRITICAL),
            place=Place("list.yaml", 6, 5),
        ),
        Rule(
            source="prod",
            scope_type="biz_set",
            scope_id="9",
            name="deploy-*",
            operator="admin",
            launch_mode=1,
            type=0,
            statuses=frozenset({4, 7, 8, 11}),
            age=timedelta(days=2),
            every=timedelta(minutes=1),
            most=500,
            labels={"team": "sre", "job": "{name}", "by": "{operator}"},
            options=Options(settle=timedelta(hours=1)),
            place=Place("list.yaml", 7, 5),
        ),
    )


def test_a_rule_may_be_json() -> None:
    found = parsed("list.json", '{"discover": [{"bk_biz_id": 2, "launch_mode": 3}]}')

    assert [rule.selection for rule in found.rules] == ["prod/biz/2 launch_mode=3"]


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        ("x", "2:3: a rule of discover must be a mapping: write key: value"),
        ("", "2:2: bk_biz_id is missing (or bk_scope_type and bk_scope_id)"),
        (
            "{name: x}",
            "2:3: bk_biz_id is missing (or bk_scope_type and bk_scope_id)",
        ),
        (
            "{bk_biz_id: 2, operater: x}",
            "2:18: unknown key 'operater'; did you mean 'operator'?",
        ),
        (
            "{bk_biz_id: 2, source: dev}",
            "2:26: unknown source 'dev'; configured: prod, stag",
        ),
        ("{bk_biz_id: x}", "2:3: scope id 'x' is not a positive whole number"),
        (
            "{bk_biz_id: 2, launch_mode: wbe}",
            "2:31: unknown 'wbe'; did you mean 'web'?",
        ),
        (
            "{bk_biz_id: 2, type: sql}",
            "2:24: unknown 'sql'; known: job, script, file",
        ),
        (
            "{bk_biz_id: 2, status: [3, faild]}",
            "2:30: status: unknown 'faild'; did you mean 'failed'?",
        ),
        ("{bk_biz_id: 2, status: {}}", "2:26: 'status' is a text or a number"),
        ("{bk_biz_id: 2, age: 31d}", "2:23: age '31d' is not within 1ms and 30d"),
        ("{bk_biz_id: 2, age: 0s}", "2:23: age '0s' is not within 1ms and 30d"),
        (
            "{bk_biz_id: 2, age: 3600}",
            "2:23: '3600' has no unit: write 3600s for seconds",
        ),
        ("{bk_biz_id: 2, every: 1s}", "2:25: every '1s' is less than 5s"),
        (
            "{bk_biz_id: 2, most: many}",
            "2:24: most 'many' is no number from 1 to 100000",
        ),
        (
            "{bk_biz_id: 2, labels: {job: '{nmae}'}}",
            "2:32: unknown '{nmae}'; did you mean '{name}'?",
        ),
        (
            "{bk_biz_id: 2, labels: {type: x}}",
            "2:33: 'type' is reserved: no label can have this name",
        ),
        (f"{{bk_biz_id: 2, name: {'x' * 257}}}", "2:24: is longer than 256 characters"),
    ],
)
def test_a_bad_rule_costs_only_itself(rule: str, fault: str) -> None:
    found = parsed(
        "list.yaml", f"discover:\n- {rule}\n- bk_biz_id: 7\nwatches: [2/1]\n"
    )

    assert faults(found) == [f"list.yaml:{fault}"]
    assert [rule.selection for rule in found.rules] == ["prod/biz/7"]
    assert keys(found) == ["prod/biz/2/1"]
    assert found.legible


def test_an_empty_value_says_nothing() -> None:
    (rule,) = parsed(
        "list.yaml",
        "discover: [{bk_biz_id: 2, name: null, status: , age: '', labels: null}]",
    ).rules

    assert rule == Rule(
        source="prod", scope_type="biz", scope_id="2", place=Place("list.yaml", 1, 12)
    )


def test_of_two_rules_for_the_same_the_first_wins_and_the_repeat_is_no_fault() -> None:
    rule = "discover:\n- {bk_biz_id: 2, name: x, labels: {team: %s}}\n"
    found = listing.gather(
        [parsed("a.yaml", rule % "sre"), parsed("b.yaml", rule % "dba")]
    )

    assert [rule.labels for rule in found.rules] == [{"team": "sre"}]
    assert found.faults == ()
    assert [str(repeat) for repeat in found.repeats] == [
        "b.yaml:2:3: the rule prod/biz/2 name=x repeats a.yaml:2:3"
    ]


def test_a_file_that_breaks_keeps_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("discover: [{bk_biz_id: 2}]")
    lists = Files(["a.yaml"], directory=tmp_path, sources=SOURCES)
    (before,) = lists.read().rules

    path.write_text("discover: [{bk_biz_id: 2}")
    found = lists.read()

    assert found.rules == (before,)
    assert str(found.faults[0]).endswith("; its last good content is kept")


def test_a_source_that_goes_takes_the_rules_of_a_broken_file_along(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("discover: [{bk_biz_id: 2}, {bk_biz_id: 3, source: stag}]")
    lists = Files(["a.yaml"], directory=tmp_path, sources=SOURCES)
    lists.read()
    path.write_text("discover: [")

    left = lists.reconfigured(["a.yaml"], directory=tmp_path, sources=("prod",))

    assert [rule.selection for rule in left.read().rules] == ["prod/biz/2"]
