import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import cadence, hazard
from monitor.core.cadence import Limits

MIDDLE = 0.5
YEARS = 1e9


def some_limits() -> st.SearchStrategy[Limits]:
    return st.builds(
        Limits,
        floor=st.none() | st.floats(0.1, 100),
        cap=st.floats(0.1, 600),
    )


def some_luck() -> st.SearchStrategy[float]:
    return st.floats(0, 1, exclude_max=True)


@given(st.floats(-10, YEARS), some_limits(), some_luck())
def test_a_wait_is_never_above_the_cap_nor_below_the_floor(
    quiet: float, limits: Limits, luck: float
) -> None:
    floor = min(limits.cap, 1.0 if limits.floor is None else limits.floor)

    assert floor <= cadence.interval(quiet, quiet, limits, luck) <= limits.cap


@given(st.floats(-10, YEARS), some_limits(), some_luck())
def test_neither_is_the_wait_for_a_finished_instance(
    since: float, limits: Limits, luck: float
) -> None:
    floor = min(limits.cap, limits.floor or 0.0)

    wait = cadence.settling(since, limits, luck)

    assert floor <= wait <= limits.cap
    assert wait > 0


@given(st.floats(0, YEARS), st.floats(0, YEARS), some_limits(), some_luck())
def test_the_longer_it_is_quiet_the_longer_the_wait(
    one: float, other: float, limits: Limits, luck: float
) -> None:
    sooner, later = sorted((one, other))

    assert cadence.interval(sooner, sooner, limits, luck) <= cadence.interval(
        later, later, limits, luck
    )


@pytest.mark.parametrize(
    ("quiet", "wait"),
    [(0, 2), (4, 2), (25, 5), (100, 10), (900, 30), (3600, 60), (86400, 60)],
)
def test_the_wait_grows_like_the_root_of_the_quiet_between_floor_and_cap(
    quiet: float, wait: float
) -> None:
    limits = Limits(floor=2.0, cap=60.0)

    assert cadence.interval(quiet, quiet, limits, MIDDLE) == wait


@pytest.mark.parametrize(
    ("age", "wait"), [(0, 1), (9, 1), (10, 2), (59, 2), (60, 5), (299, 5), (300, 10)]
)
def test_left_alone_a_look_is_never_sooner_than_job_samples_its_agents(
    age: float, wait: float
) -> None:
    assert cadence.interval(0, age, Limits(), MIDDLE) == wait


def test_luck_drives_instances_apart_that_started_together() -> None:
    limits = Limits(floor=2.0, cap=60.0)
    waits = [cadence.interval(100, 100, limits, luck) for luck in (0.0, 0.5, 0.99)]

    assert waits == pytest.approx([9, 10, 10.98])


def test_a_finished_instance_is_confirmed_soon_and_then_watched_at_leisure() -> None:
    limits = Limits(floor=2.0, cap=60.0)

    assert cadence.settling(0, limits, MIDDLE) == 2
    assert cadence.settling(0.1, limits, MIDDLE) == 2
    assert cadence.settling(2, limits, MIDDLE) == 57
    assert cadence.settling(2, limits, 0.0) == 60


@given(st.floats(0, YEARS), st.floats(1e-3, 1e4), some_limits(), some_luck())
def test_neither_is_a_learnt_wait_nor_longer_than_five_minutes_or_the_age(
    age: float, stride: float, limits: Limits, luck: float
) -> None:
    curve = hazard.curve(hazard.hazards([]))
    floor, cap = cadence.bounds(age, limits, since=age)

    wait = cadence.learnt(curve, age, stride, limits, luck, since=age)

    assert min(floor, cap) <= wait <= cap <= limits.cap
    assert cap <= max(300.0, age)


def test_a_learnt_wait_is_one_stride_of_the_curve_give_or_take_a_tenth() -> None:
    curve = hazard.curve([1 / 400] * hazard.BINS)
    limits = Limits(floor=2.0, cap=60.0)

    waits = [
        cadence.learnt(curve, 1000.0, 2.0, limits, luck, since=0.0)
        for luck in (0.0, 0.5, 0.99)
    ]

    assert waits == pytest.approx([36, 40, 43.92])


def test_a_learnt_wait_is_never_shorter_than_job_samples_the_step_under_way() -> None:
    curve = hazard.curve([1.0] * hazard.BINS)

    assert cadence.learnt(curve, 900.0, 0.1, Limits(), MIDDLE, since=30.0) == 2


def test_where_the_budget_cannot_hold_the_cap_a_learnt_wait_may_be_longer() -> None:
    curve = hazard.curve([1e-9] * hazard.BINS)
    limits = Limits(floor=2.0, cap=60.0)

    wait = cadence.learnt(curve, 1e4, 9.0, limits, MIDDLE, since=0.0, stretch=2.5)

    assert wait == 150
