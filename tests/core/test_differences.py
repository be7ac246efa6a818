"""In what daemons that share a store were set up differently."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.cluster import Report, SinkReport, SourceReport, View
from monitor.core.differences import Difference, differences
from tests.support.rolls import a_node

SINK = SinkReport(condition="well")
SAME = {"alerts": "a1", "sources.prod": "b2", "sinks.oncall": "c3"}


def a_report(version: str = "1", **more: Any) -> Report:
    known: dict[str, Any] = {
        "sources": {"prod": SourceReport()},
        "sinks": {"oncall": SINK},
        "settings": SAME,
        **more,
    }
    return Report(version=version, **known)


def of(*reports: Report, **last: Any) -> list[Difference]:
    """Compare nodes a, b, c…; *last* is said of the last one."""
    names = "abcdef"[: len(reports)]
    more: list[dict[str, Any]] = [{}] * (len(reports) - 1) + [last]
    return differences(
        View(
            me="a",
            nodes=tuple(
                a_node(name, report=report, **said)
                for name, report, said in zip(names, reports, more, strict=True)
            ),
        )
    )


def texts(*reports: Report) -> list[str]:
    return [str(each) for each in of(*reports)]


@given(st.integers(0, 6))
def test_however_many_are_alike_nothing_differs(nodes: int) -> None:
    view = View(nodes=tuple(a_node(f"n{n}", report=a_report()) for n in range(nodes)))

    assert differences(view) == []


def test_a_sink_that_one_lacks_is_named_with_who_has_it() -> None:
    poor = {name: digest for name, digest in SAME.items() if name != "sinks.oncall"}
    [found] = of(a_report(), a_report(sinks={}, settings=poor), a_report())

    assert found == Difference(what="sinks.oncall", alike=(("a", "c"),), lacking=("b",))
    assert str(found) == "sinks.oncall: a, c; not at b"


def test_of_those_that_have_it_differently_most_come_first() -> None:
    other = a_report(settings={**SAME, "alerts": "a2"})

    assert texts(other, a_report(), a_report()) == ["alerts: b, c ≠ a"]


def test_of_two_versions_only_the_names_of_sources_and_sinks_are_compared() -> None:
    newer = a_report(
        "2",
        sources={"prod": SourceReport(), "test": SourceReport()},
        settings={"alerts": "a2", "sources.prod": "b3", "new_key": "d4"},
    )

    assert texts(a_report(), newer) == ["sources.test: b; not at a", "version: a ≠ b"]


@pytest.mark.parametrize(
    ("last", "report"),
    [
        ({"living": False}, a_report("2")),
        ({"draining": True}, a_report("2")),
        ({}, Report()),
    ],
)
def test_who_is_gone_or_leaves_or_has_said_nothing_differs_in_nothing(
    last: dict[str, bool], report: Report
) -> None:
    assert of(a_report(), a_report(), report, **last) == []
