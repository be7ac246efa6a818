import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import hazard
from monitor.core.hazard import BINS, EDGES, Table

LONG = 1e8
NOTHING = Table()


def some_ages(most: float = LONG) -> st.SearchStrategy[float]:
    """From parts of a second to years, each order of magnitude as often."""
    return st.just(0.0) | st.floats(-2, 8).map(lambda n: min(most, 10.0**n))


def some_tables() -> st.SearchStrategy[Table]:
    return st.lists(some_ages(1e6), max_size=30).map(learnt_from)


def some_curves() -> st.SearchStrategy[hazard.Curve]:
    return st.lists(some_tables(), max_size=3).map(
        lambda tables: hazard.curve(hazard.hazards(tables))
    )


def learnt_from(durations: list[float], fading: float = 0.0) -> Table:
    table = NOTHING
    for seconds in durations:
        table = hazard.ended(table, seconds, fading)
    return table


def test_the_bins_are_one_below_a_second_and_eight_for_each_decade() -> None:
    assert BINS == 65
    assert [EDGES[0], EDGES[1], EDGES[9], EDGES[-1]] == pytest.approx([0, 1, 10, LONG])
    assert [hazard.bin_of(age) for age in (-1, 0, 0.9, 1, 10, LONG, 10 * LONG)] == [
        *(0, 0, 0, 1, 9, 64, 64)
    ]


def test_a_completion_is_one_death_and_as_many_seconds_as_it_lived() -> None:
    table = hazard.ended(NOTHING, 1.2)

    assert table.exposure == pytest.approx((1.0, 0.2))
    assert table.deaths == (0.0, 1.0)
    assert table.seconds == 1.2


@given(st.lists(some_ages(), max_size=30), st.lists(some_ages(), max_size=30))
def test_what_two_learnt_apart_is_what_one_would_have_learnt_of_all(
    first: list[float], later: list[float]
) -> None:
    apart = hazard.merged(learnt_from(first, 1e-4), learnt_from(later, 1e-4))
    whole = learnt_from(first + later, 1e-4)

    assert apart.exposure == pytest.approx(whole.exposure)
    assert apart.deaths == pytest.approx(whole.deaths)
    assert apart.seconds == pytest.approx(whole.seconds)


def test_however_much_is_merged_what_is_old_is_forgotten_and_never_below_nothing() -> (
    None
):
    much = learnt_from([600.0] * 20_000)
    again = hazard.merged(much, much)

    assert again.completions == pytest.approx(much.completions)
    assert min(again.exposure) >= 0


def test_an_end_before_its_start_counts_as_an_end_at_once() -> None:
    assert hazard.ended(NOTHING, -5) == Table(exposure=(0.0,), deaths=(1.0,))


@given(st.lists(some_ages(), min_size=1, max_size=20))
def test_all_seconds_lived_are_counted_less_what_is_forgotten(
    durations: list[float],
) -> None:
    table = learnt_from(durations)

    kept = 0.5 ** (len(durations) / 500)
    assert kept * sum(durations) - 1e-6 <= sum(table.exposure)
    assert sum(table.exposure) <= sum(durations) * (1 + 1e-9)


def test_half_of_what_was_known_is_forgotten_after_five_hundred_completions() -> None:
    table = learnt_from([100.0] + [0.5] * 500)

    assert table.deaths[hazard.bin_of(100.0)] == pytest.approx(0.5)


@given(st.lists(some_ages(1e5), min_size=1, max_size=8), st.integers(1000, 3000))
def test_however_much_is_learnt_the_memory_stays_bounded(
    durations: list[float], repeats: int
) -> None:
    table = learnt_from((durations * repeats)[:repeats])

    assert table.completions <= 722
    assert sum(table.exposure) <= 722 * max(durations)
    assert len(table.exposure) <= BINS


def test_those_that_run_have_lived_through_the_bins_below_and_half_of_their_own() -> (
    None
):
    running = [0.0, 0.0, 3.0]

    table = hazard.joined(Table(exposure=(5.0,), deaths=(1.0,)), running)

    width = EDGES[3] - EDGES[2]
    assert table.exposure == pytest.approx((8.0, 3 * (EDGES[2] - 1), 1.5 * width))
    assert table.deaths == (1.0,)


@pytest.mark.parametrize("watches", [10, 10_000])
def test_a_steady_stream_of_ends_shows_its_hazard_however_many_run(
    watches: int,
) -> None:
    # Each watch-second of any age up to 1,000 s has the same chance, 1 in 500.
    ends = {10.0 * n: 0.98**n * 0.02 for n in range(1, 400)}
    running = [0.0] * BINS
    for age in range(0, 4000, 10):
        running[hazard.bin_of(age)] += watches * 0.02 * 0.98 ** (age / 10)
    table, fading = NOTHING, 0.0
    order = [age for age, share in ends.items() for _ in range(round(share * 2000))]
    for n in range(len(order)):
        # By a step that visits all, so that old and young ends are well mixed.
        table = hazard.ended(table, order[n * 797 % len(order)], fading)
        fading = hazard.fading(table, running)
    by_bin = hazard.hazards([hazard.joined(table, running, fading)])

    young = by_bin[hazard.bin_of(50)]
    old = by_bin[hazard.bin_of(900)]
    assert young == pytest.approx(1 / 500, rel=0.35)
    assert old == pytest.approx(1 / 500, rel=0.35)


def test_a_class_with_nobody_running_forgets_by_its_completions_alone() -> None:
    assert hazard.fading(learnt_from([10.0]), []) == 0
    assert hazard.fading(NOTHING, [1000.0]) == 0


def test_who_hangs_for_longer_than_anybody_took_does_not_hasten_forgetting() -> None:
    hung = [0.0] * 40 + [1000.0]

    assert hazard.fading(learnt_from([10.0]), hung) == 0


def test_of_nothing_it_is_known_that_the_old_live_on() -> None:
    by_bin = hazard.hazards([])

    assert by_bin[0] == pytest.approx(1 / (0.5 + hazard.SHIFT))
    assert sorted(by_bin, reverse=True) == [*by_bin]
    assert hazard.hazards([NOTHING]) == by_bin


def test_deaths_and_exposure_are_weighed_against_three_tenths_of_a_death_of_the_prior() -> (
    None
):
    [prior, *_] = hazard.hazards([])

    [young, *_] = hazard.hazards([Table(exposure=(10.0,), deaths=(3.0,))])

    assert young == pytest.approx(3.3 / (10 + 0.3 / prior))


def test_where_a_class_knows_nothing_it_says_what_its_parent_says() -> None:
    parent = learnt_from([100.0] * 20 + [5000.0] * 20)
    child = learnt_from([100.0] * 20)

    of_parent, of_child = hazard.hazards([parent]), hazard.hazards([parent, child])

    old, young = hazard.bin_of(5000), hazard.bin_of(100)
    assert of_child[old:] == of_parent[old:]
    assert of_child[young] > of_parent[young]


@given(st.lists(some_tables(), min_size=1, max_size=3))
def test_a_child_lies_between_its_own_count_and_its_parent(tables: list[Table]) -> None:
    *parents, child = tables

    above, below = hazard.hazards(parents), hazard.hazards(tables)

    for place, (died, lived) in enumerate(
        zip(child.deaths, child.exposure, strict=True)
    ):
        own = died / lived if lived else float("inf") if died else above[place]
        low, high = sorted((own, above[place]))
        assert low * (1 - 1e-9) <= below[place]
        assert below[place] <= high * (1 + 1e-9) or below[place] <= above[place]


def test_however_sure_that_nothing_ends_it_is_looked_at_now_and_then() -> None:
    survived = hazard.joined(NOTHING, [0.0] * 40 + [1e6])

    by_bin = hazard.hazards([survived])

    assert by_bin[0] == pytest.approx(0.03 / (0.5 + hazard.SHIFT))


@given(some_curves(), some_ages(), some_ages())
def test_the_integral_grows_with_age(
    curve: hazard.Curve, one: float, other: float
) -> None:
    young, old = sorted((one, other))

    assert curve.at(young) <= curve.at(old)


@given(some_curves(), some_ages(10 * LONG))
def test_an_age_is_found_again_by_its_rise(curve: hazard.Curve, age: float) -> None:
    assert curve.age_at(curve.at(age)) == pytest.approx(age, rel=1e-6, abs=1e-6)


@given(some_curves(), some_ages(), st.floats(1e-3, 1e4))
def test_the_next_look_is_later_and_one_stride_further(
    curve: hazard.Curve, age: float, stride: float
) -> None:
    later = curve.next_age(age, stride)

    assert later > age
    assert curve.at(later) - curve.at(age) == pytest.approx(stride, rel=1e-4, abs=1e-6)


def test_with_one_hazard_at_all_ages_looks_are_evenly_spaced() -> None:
    curve = hazard.curve([1 / 400] * BINS)

    assert curve.at(50.0) == pytest.approx(50 / 20)
    assert curve.next_age(0.0, 2.0) == pytest.approx(40)
    assert curve.next_age(1000.0, 2.0) == pytest.approx(1040)
    assert curve.next_age(20 * LONG, 2.0) == pytest.approx(20 * LONG + 40)


def test_a_stride_ends_in_a_peak_and_does_not_jump_over_it() -> None:
    low, high = 1 / 1e6, 1 / 4
    peak = hazard.bin_of(100.0)
    curve = hazard.curve([low] * peak + [high] + [low] * (BINS - peak - 1))

    # √h is 1/1000 up to the peak and 1/2 in it.
    start = EDGES[peak]
    assert curve.next_age(0.0, 2.0) == pytest.approx(
        start + 2 * (2.0 - start / 1000), rel=1e-6
    )


def test_a_table_survives_message_pack_in_a_few_hundred_bytes() -> None:
    table = learnt_from([100.0, 150.0, 4000.0])

    body = msgspec.msgpack.encode(table)

    assert msgspec.msgpack.decode(body, type=Table) == table
    assert len(body) < 600


@given(st.lists(st.floats(1, 1e7), min_size=20, max_size=60))
def test_a_percentile_is_that_of_those_that_ended_rounded_up_by_a_third_at_most(
    durations: list[float],
) -> None:
    told = hazard.percentile(learnt_from(durations), 90)
    ordered = sorted(durations)
    # The newer weigh a little more, so that the place in order may differ by one.
    place = len(ordered) * 9 // 10
    low, high = ordered[place - 2], ordered[min(place + 1, len(ordered) - 1)]

    assert told is not None
    assert low < told <= high * 10 ** (1 / 8) * 1.0001


def test_of_what_never_ended_there_is_no_percentile() -> None:
    assert hazard.percentile(NOTHING, 95) is None
