import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import cadence
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
