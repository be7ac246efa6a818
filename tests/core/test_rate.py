"""How many requests a source takes, as arithmetic on a clock handed in."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.rate import SAVED, Quota, Slots, Width


def taken(slots: Slots, *, until: float, since: float = 0.0) -> list[float]:
    """Ask as often as is let through, each answered at once and well."""
    now, starts = since, []
    while (now := max(now, slots.ready_at)) < until:
        starts.append(slots.take(now))
        slots.answered(now)
        now += 0.001
    return starts


def test_without_a_rate_nothing_waits() -> None:
    slots = Slots(None)

    assert [slots.take(5.0) for _ in range(3)] == [5.0, 5.0, 5.0]
    assert slots.rate == inf


@given(st.floats(0.1, 1000), st.lists(st.floats(0, 2), max_size=50))
def test_no_second_sees_more_than_its_rate_and_what_was_saved(
    rate: float, rests: list[float]
) -> None:
    slots, now, starts = Slots(rate), 0.0, []
    for rest in rests:
        now += rest
        starts.append(slots.take(now))

    for start in starts:
        within = [other for other in starts if start <= other < start + 1]
        assert len(within) <= rate * (1 + SAVED) + 2


def test_slots_booked_ahead_come_one_after_the_other() -> None:
    slots = Slots(10.0)

    assert [slots.take(1.0) for _ in range(4)] == pytest.approx([1, 1.0, 1.1, 1.2])


def test_a_quota_in_the_headers_is_kept_before_it_is_used_up() -> None:
    slots = Slots(None)
    slots.heard(Quota(limit=20, remaining=19, reset=1.0), in_flight=0, now=0.0)

    assert 17 <= len(taken(slots, until=1.0)) <= 22
    assert 18 <= slots.rate <= 20


def test_what_others_use_of_a_quota_is_waited_for() -> None:
    slots = Slots(None)
    slots.heard(Quota(limit=20, remaining=3, reset=7.0), in_flight=3, now=10.0)

    assert slots.ready_at == 17.5


def test_the_longest_reset_is_the_window_of_a_quota() -> None:
    slots = Slots(None)
    slots.heard(Quota(limit=600, remaining=100, reset=60.0), in_flight=0, now=0.0)
    slots.heard(Quota(limit=600, remaining=99, reset=3.0), in_flight=0, now=57.0)

    assert slots.rate == pytest.approx(10, rel=0.05)


def test_a_window_that_was_seen_to_begin_is_waited_for_to_the_tenth() -> None:
    slots = Slots(None)
    for remaining, moment in ((3, 0.5), (19, 1.0), (0, 1.8)):
        quota = Quota(limit=20, remaining=remaining, reset=1.0)
        slots.heard(quota, in_flight=0, now=moment)

    assert slots.ready_at == pytest.approx(2.05)


def test_what_the_source_says_that_it_bears_is_kept() -> None:
    slots = Slots(None)
    slots.throttled(0.0, 1000 / 60)
    taken(slots, until=3600.0)

    assert slots.rate == pytest.approx(1000 / 60, rel=0.05)


def test_a_throttle_leaves_what_was_borne_less_a_tenth() -> None:
    slots = Slots(100.0)
    taken(slots, until=20.0)

    slots.throttled(20.0)

    assert slots.rate == pytest.approx(90, rel=0.05)


def test_after_a_minute_it_is_tried_whether_more_is_borne() -> None:
    slots = Slots(100.0)
    taken(slots, until=20.0)
    slots.throttled(20.0)
    taken(slots, since=20.0, until=79.0)
    held = slots.rate
    taken(slots, since=79.0, until=90.0)

    assert held == pytest.approx(90, rel=0.05)
    assert slots.rate == 100


def test_a_throttle_before_any_answer_teaches_nothing() -> None:
    slots = Slots(None)
    slots.throttled(0.0)

    assert slots.rate == inf


@pytest.mark.parametrize("most", [1, 2, 64])
def test_the_width_grows_while_it_is_needed_and_shrinks_by_tenths(most: int) -> None:
    width = Width(most)
    for _ in range(100):
        width.succeeded(int(width.limit))
    widest = width.limit
    width.failed()
    once = width.limit
    for _ in range(100):
        width.failed()

    assert widest == most
    assert once == max(min(2, most), 0.9 * most)
    assert width.limit == min(2, most)


def test_a_width_that_is_not_used_does_not_grow() -> None:
    width = Width(64)
    for _ in range(100):
        width.succeeded(1)

    assert width.limit == Width.START


@given(st.floats(1, 1000), st.floats(0.05, 0.95))
def test_two_parts_of_a_rate_are_no_more_than_the_whole(
    rate: float, part: float
) -> None:
    one, other = Slots(rate), Slots(rate)
    one.part(part)
    other.part(1 - part)

    both = [*taken(one, until=10.0), *taken(other, until=10.0)]
    assert len(both) <= 10 * rate * (1 + SAVED) + 2
    assert one.rate + other.rate == pytest.approx(rate)


def test_a_quota_of_the_source_is_divided_too() -> None:
    slots = Slots(None)
    slots.part(0.25)
    slots.heard(Quota(limit=40, remaining=39, reset=1.0), in_flight=0, now=0.0)

    assert 9 <= slots.rate <= 10


def test_what_the_source_says_that_it_bears_is_divided_too() -> None:
    slots = Slots(None)
    slots.part(0.5)
    slots.throttled(0.0, borne=10.0)
    half = slots.rate
    slots.part(1.0)

    assert half == pytest.approx(5, rel=0.05)
    assert slots.rate == pytest.approx(2 * half)


def test_what_was_learnt_of_a_part_holds_of_another_in_proportion() -> None:
    slots = Slots(None)
    for now in range(10):
        for _ in range(10):
            slots.answered(float(now))
    slots.throttled(10.0)
    whole = slots.rate
    slots.part(0.5)

    assert slots.rate == pytest.approx(whole / 2)


def test_who_has_no_part_asks_nothing_until_it_has_one() -> None:
    slots = Slots(10.0)
    slots.part(0.0)
    assert (slots.rate, slots.ready_at) == (0.0, inf)

    slots.part(0.5)
    assert slots.take(1.0) == 1.0
    assert slots.rate == 5.0


def test_no_more_are_under_way_than_the_part_allows_however_well_it_goes() -> None:
    width = Width(64)
    width.bound(16)
    for _ in range(100):
        width.succeeded(64)
    assert width.limit == 16

    width.bound(1)
    width.failed()
    assert width.limit == 1
