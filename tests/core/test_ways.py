"""Who would be told of an alert, by which route, and grouped how."""

from datetime import timedelta

from monitor.core import matchers
from monitor.core.routing import Route
from monitor.core.telling import Rules
from monitor.core.ways import WayData, Ways

KEY = "prod/biz/2/20000153"
CRITICAL = matchers.parse('severity="critical"')
BY_TEAM = Route(
    name="routes[0]",
    sinks=("dba",),
    matchers=(matchers.parse("team=dba"),),
    by=("team",),
    rules=Rules(after=timedelta(minutes=30)),
    goes_on=True,
)
REST = Route(name="routes[1]", sinks=("dba", "sre"))
ROOT = Route(name="routes", sinks=(), routes=(BY_TEAM, REST))
WAYS = Ways(
    ROOT,
    {
        "dba": lambda _: "",
        "sre": lambda traits: matchers.unfit([CRITICAL], traits),
        "boss": lambda _: "",
    },
)


def by_sink(ways: tuple[WayData, ...]) -> dict[str, list[tuple[str, str, bool]]]:
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for way in ways:
        found.setdefault(way.sink, []).append((way.route, way.group, way.told))
    return found


def test_every_sink_has_its_ways_or_has_none() -> None:
    ways = WAYS.of(KEY, {"team": "dba", "severity": "critical"})

    assert by_sink(ways) == {
        "dba": [
            ("routes[0]", 'prod/{team="dba"}', True),
            ("routes[1]", KEY, True),
        ],
        "sre": [("routes[1]", KEY, True)],
        "boss": [("", "", False)],
    }


def test_a_way_says_which_rule_it_is_and_how_patient() -> None:
    first, *_ = WAYS.of(KEY, {"team": "dba"})

    assert (first.rule, first.after) == (('team="dba"',), 1800)


def test_what_a_sink_s_own_match_leaves_out_is_not_told() -> None:
    [sre] = [way for way in WAYS.of(KEY, {}) if way.sink == "sre"]

    assert (sre.told, sre.unfit) == (False, 'severity="critical"')


def test_of_traits_alone_the_group_is_that_of_any_instance() -> None:
    assert by_sink(WAYS.of_traits({}, "prod"))["dba"] == [
        ("routes[1]", "prod/<instance>", True)
    ]


def test_a_source_and_a_scope_are_groups_of_their_own() -> None:
    lost = {"alert": "source_lost", "team": "dba"}
    refused = {"alert": "job_refused", "scope": "biz/2"}

    assert by_sink(WAYS.of_traits(lost, "prod"))["dba"][0][1] == "prod"
    assert by_sink(WAYS.of_traits(refused, "prod"))["dba"][0][1] == "prod/biz/2"
