"""One budget over several daemons: laws of its division, in whatever order they meet."""

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import budget
from monitor.core.budget import Stake
from monitor.core.cluster import Node, Report, SourceReport, View

NAMES: Final = "abcde"

needs = st.none() | st.floats(0, 1e6)
many_needs = st.dictionaries(st.sampled_from(NAMES), needs, min_size=1)


class Table:
    """What daemons read of one another, each round at once: write, read, obey.

    Who joins an empty table has everything from then on, and says so at once: the
    daemon itself takes a renewal for that.
    """

    def __init__(self) -> None:
        self.stakes: dict[str, Stake] = {}
        self.shares: dict[str, budget.Share] = {}

    def join(self, name: str) -> None:
        self.stakes[name] = Stake()
        share = self.shares[name] = budget.joining(self.stakes, name)
        self.stakes[name] = Stake(share.taken)

    def meet(self, name: str, need: float | None) -> None:
        self.stakes[name] = Stake(self.shares[name].claim, need)
        self.shares[name] = budget.share(self.stakes, name)

    def vanish(self, name: str) -> None:
        del self.stakes[name], self.shares[name]

    @property
    def taken(self) -> float:
        return sum(share.taken for share in self.shares.values())


@given(many_needs)
def test_the_parts_are_the_whole(needs: dict[str, float | None]) -> None:
    assert sum(budget.fair(needs).values()) == pytest.approx(1)


@given(many_needs)
def test_nobody_is_starved(needs: dict[str, float | None]) -> None:
    least = budget.EVENLY / len(needs)

    assert min(budget.fair(needs).values()) >= least * (1 - 1e-9)


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(0, 1e6), min_size=2))
def test_who_needs_more_gets_no_less(needs: dict[str, float]) -> None:
    parts = budget.fair(needs)

    ordered = sorted(needs, key=lambda name: needs[name])
    assert [parts[name] for name in ordered] == sorted(parts.values())


def test_who_needs_three_times_as_much_gets_most_of_it() -> None:
    assert budget.fair({"a": 30.0, "b": 10.0}) == pytest.approx({"a": 0.7, "b": 0.3})


def test_until_all_needs_are_known_each_gets_as_much() -> None:
    assert budget.fair({"a": 30.0, "b": None}) == {"a": 0.5, "b": 0.5}


@given(st.lists(st.tuples(st.sampled_from(NAMES), needs, st.booleans())))
def test_in_whatever_order_they_meet_they_never_take_more_than_all(
    rounds: list[tuple[str, float | None, bool]],
) -> None:
    table = Table()
    for name, need, leaves in rounds:
        if name not in table.stakes:
            table.join(name)
        elif leaves:
            table.vanish(name)
        else:
            table.meet(name, need)

        assert table.taken <= 1 + 1e-9


@given(many_needs, st.permutations(NAMES))
def test_four_rounds_after_the_last_news_everybody_has_his_part(
    needs: dict[str, float | None], order: list[str]
) -> None:
    table = Table()
    for name in needs:
        table.join(name)
    for _ in range(4):
        for name in order:
            if name in needs:
                table.meet(name, needs[name])

    taken = {name: share.taken for name, share in table.shares.items()}
    assert taken == pytest.approx(budget.fair(needs))


def test_who_is_alone_has_everything_at_once() -> None:
    table = Table()
    table.join("a")

    assert table.taken == 1
    table.meet("a", None)
    assert table.taken == 1


def test_who_joins_begins_with_nothing_until_the_others_have_left_him_something() -> (
    None
):
    table = Table()
    table.join("a")
    table.join("b")
    table.meet("b", None)
    assert table.shares["b"].taken == 0

    table.meet("a", 1.0)
    table.meet("b", None)
    assert table.shares["b"].taken == 0
    table.meet("a", 1.0)
    table.meet("b", None)
    assert [share.taken for share in table.shares.values()] == [0.5, 0.5]


def test_who_is_leaving_keeps_what_it_has_and_gets_no_part() -> None:
    stakes = {"a": Stake(0.5, 1.0), "b": Stake(0.5, 1.0, leaving=True)}

    assert budget.share(stakes, "a") == budget.Share(0.5, 1.0)


@given(st.integers(1, 500), many_needs)
def test_requests_at_once_are_divided_too(
    most: int, needs: dict[str, float | None]
) -> None:
    widths = [budget.at_once(most, part) for part in budget.fair(needs).values()]

    assert min(widths) >= 1
    assert sum(width for width in widths if width > 1) <= most


def test_a_third_of_nine_is_three() -> None:
    assert budget.at_once(9, budget.fair(dict.fromkeys("abc"))["a"]) == 3


def test_only_who_lives_and_has_the_source_takes_part() -> None:
    said = SourceReport(need=2.0, share=0.5)
    view = View(
        me="a",
        nodes=(
            _a_node("a", Report(version="1", sources={"prod": said})),
            _a_node("b", Report(version="1", sources={"other": said})),
            _a_node("c", Report(version="1", sources={"prod": said}), living=False),
            _a_node("d", Report()),
            _a_node("e", Report(version="1", sources={"prod": said}), draining=True),
        ),
    )

    assert budget.stakes(view, "prod") == {
        "a": Stake(0.5, 2.0),
        "d": Stake(),
        "e": Stake(0.5, 2.0, leaving=True),
    }


def _a_node(
    name: str, report: Report, *, living: bool = True, draining: bool = False
) -> Node:
    return Node(
        name=name,
        started_at=datetime(2026, 11, 29, tzinfo=UTC),
        seen=0.0,
        draining=draining,
        living=living,
        report=report,
    )
