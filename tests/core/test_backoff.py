import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import backoff

MILLION = 1_000_000


def some_luck() -> st.SearchStrategy[float]:
    return st.floats(0, 1, exclude_max=True)


@given(st.integers(1, MILLION), some_luck())
def test_a_wait_is_never_above_the_ceiling_nor_below_a_tenth_of_its_delay(
    failures: int, luck: float
) -> None:
    delay = backoff.doubling(failures, ceiling=60.0)
    wait = backoff.full_jitter(failures, luck, ceiling=60.0)

    assert 0.1 <= delay / 10 <= wait <= delay <= 60.0


@given(st.integers(1, MILLION), some_luck())
def test_one_failure_more_never_shortens_the_wait(failures: int, luck: float) -> None:
    wait = backoff.full_jitter(failures, luck)

    assert wait <= backoff.full_jitter(failures + 1, luck)


def test_delays_double_up_to_the_ceiling_and_stay_there() -> None:
    delays = [backoff.doubling(failures) for failures in range(1, 9)]

    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.doubling(MILLION) == 60


def test_base_and_ceiling_are_the_callers() -> None:
    assert backoff.doubling(3, base=0.5, ceiling=10) == 2
    assert backoff.doubling(MILLION, base=0.5, ceiling=10) == 10


def test_luck_spreads_the_wait_down_to_a_tenth() -> None:
    waits = [backoff.full_jitter(4, luck) for luck in (0.0, 0.5, 0.9, 0.999)]

    assert waits == pytest.approx([8, 4, 0.8, 0.8])


def test_deliveries_climb_the_ladder_and_stay_on_its_last_rung() -> None:
    rungs = [backoff.ladder(tries, 0.5) for tries in range(1, 10)]

    assert rungs == pytest.approx([1, 5, 30, 120, 600, 3600, 10800, 10800, 10800])


@given(st.integers(1, MILLION), some_luck())
def test_luck_moves_a_rung_by_a_fifth_at_most(tries: int, luck: float) -> None:
    rung = backoff.ladder(tries, 0.5)

    assert 0.8 * rung <= backoff.ladder(tries, luck) <= 1.2 * rung
