"""When a sink that fails is left in peace, and for how long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import circuit
from monitor.core.circuit import CLOSED, OPENS_AT, Circuit

NOW = 1_000.0


def after(lines: list[str], *, luck: float = 0.0) -> Circuit:
    found = CLOSED
    for line in lines:
        found = circuit.failed(found, line, NOW, luck)
    return found


def test_one_message_that_fails_again_and_again_says_nothing_about_the_sink() -> None:
    assert not after(["a"] * 100).open


def test_it_opens_when_enough_different_lines_failed() -> None:
    lines = [f"line {number}" for number in range(OPENS_AT)]

    assert not after(lines[:-1]).open
    assert after(lines).open


def test_while_it_is_open_each_probe_that_fails_waits_longer_up_to_a_minute() -> None:
    found, now = after([str(number) for number in range(OPENS_AT)]), NOW
    rests = []
    for _ in range(8):
        rests.append(found.rest(now))
        now = found.until
        found = circuit.failed(found, "0", now, 0.0)

    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_was_begun_before_it_opened_makes_no_rest_longer() -> None:
    opened = after([str(number) for number in range(OPENS_AT)])

    assert circuit.failed(opened, "late", NOW + 0.5, 0.0) == opened


def test_who_asks_for_peace_gets_it_whatever_else_is_known() -> None:
    asked = circuit.failed(CLOSED, "a", NOW, 0.0, floor=20)

    assert not asked.open
    assert asked.rest(NOW) == 20
    assert circuit.failed(asked, "b", NOW, 0.0).rest(NOW) == 20


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefg"),
            st.floats(0, 100),
            st.floats(0, 0.99),
            st.sampled_from([0.0, 5.0, 600.0]),
        ),
        max_size=30,
    )
)
def test_a_rest_is_never_cut_short_and_what_is_remembered_is_bounded(
    tries: list[tuple[str, float, float, float]],
) -> None:
    found, now = CLOSED, NOW
    for line, later, luck, floor in tries:
        now += later
        before = found
        found = circuit.failed(found, line, now, luck, floor=floor)

        assert found.until >= before.until
        assert found.until >= now + floor or not floor
        assert found.open or not before.open
        assert len(found.failed) <= OPENS_AT


@pytest.mark.parametrize("luck", [0.0, 0.5, 0.99])
def test_it_always_rests_once_it_has_opened(luck: float) -> None:
    opened = after([str(number) for number in range(OPENS_AT)], luck=luck)

    assert 0 < opened.rest(NOW) <= 1
