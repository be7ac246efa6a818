import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import price
from monitor.core.price import Group, Price

FREE = {"floor": 0.0, "cap": 1e9}


def a_group(count: float, pull: float, floor: float = 1.0, cap: float = 60.0) -> Group:
    return Group(count=count, pull=pull, floor=floor, cap=cap)


def some_groups() -> st.SearchStrategy[list[Group]]:
    one = st.builds(
        Group,
        count=st.integers(1, 10_000).map(float),
        pull=st.floats(1e-3, 1.0),
        floor=st.sampled_from([0.5, 1.0, 2.0, 10.0]),
        cap=st.sampled_from([10.0, 60.0, 600.0, 1e6]),
    )
    return st.lists(one, min_size=1, max_size=20)


def spent(groups: list[Group], theta: float) -> float:
    return sum(group.rate(theta) for group in groups)


def test_unhindered_the_price_is_all_pull_over_97_percent_of_the_budget() -> None:
    groups = [Group(100, 0.1, **FREE), Group(10, 0.5, **FREE)]

    assert price.balancing(groups, 5.0) == pytest.approx(15 / (0.97 * 5))


@given(some_groups(), st.floats(0.1, 5000))
def test_the_budget_is_spent_unless_floors_or_caps_forbid(
    groups: list[Group], rate: float
) -> None:
    theta = price.balancing(groups, rate)

    least, most = spent(groups, 1e9), spent(groups, 1e-9)
    wanted = min(most, max(least, 0.97 * rate))
    assert spent(groups, theta) == pytest.approx(wanted, rel=0.02)


def test_what_caps_take_is_left_to_the_others_no_more() -> None:
    # 60 watches at their cap take 1 a second, whatever the price.
    groups = [a_group(60, 1e-6), a_group(20, 0.1)]

    theta = price.balancing(groups, 3 / 0.97)

    assert a_group(20, 0.1).rate(theta) == pytest.approx(2.0, rel=0.02)


def test_with_nobody_to_watch_there_is_no_price() -> None:
    assert price.balancing([], 50.0) == 0.0


def test_the_first_price_holds_at_once_and_later_ones_by_three_tenths() -> None:
    first = price.after(Price(), 2.0, lag=0.0)
    second = price.after(first, 4.0, lag=0.0)

    assert first.theta == pytest.approx(2.0)
    assert second.theta == pytest.approx(0.7 * 2 + 0.3 * 4)


def test_lateness_makes_looks_dearer_until_it_is_over() -> None:
    late = Price(calm=2.0)
    for _ in range(3):
        late = price.after(late, 2.0, lag=2.5)
    calm = late
    for _ in range(5):
        calm = price.after(calm, 2.0, lag=0.5)

    assert late.theta == pytest.approx(2 * 1.01**3)
    assert calm.theta == pytest.approx(2.0)


def test_lateness_without_end_does_not_stop_all_looks() -> None:
    late = Price(calm=2.0)
    for _ in range(1000):
        late = price.after(late, 2.0, lag=60.0)

    assert late.theta == pytest.approx(4.0)


def test_a_look_is_worth_its_price_when_the_law_says_it_is_due() -> None:
    theta, weight, hazard = 3.0, 4.0, 0.01
    due = theta / (weight * hazard) ** 0.5

    assert price.value(hazard, weight, due) == pytest.approx(theta**2 / 2)


def test_caps_hold_as_long_as_the_budget_allows() -> None:
    groups = [a_group(60, 0.1, cap=60.0), a_group(60, 1.0, cap=60.0)]

    assert price.stretch(groups, 2 / 0.97) == pytest.approx(1.0)
    assert price.stretch(groups, 50.0) == 1.0
    assert price.stretch([], 50.0) == 1.0


@given(some_groups(), st.floats(0.1, 100))
def test_where_they_cannot_hold_a_third_of_the_budget_goes_to_them_or_more(
    groups: list[Group], rate: float
) -> None:
    stretched = price.stretch(groups, rate)

    least = sum(group.count / group.cap for group in groups) / stretched
    assert least <= 0.97 * rate * (1 + 1e-9)
    if stretched > 1:
        assert least >= 0.97 * rate / 3
