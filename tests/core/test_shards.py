"""Who owns what: shares of 64, and what moves when the number of daemons changes."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import shards
from monitor.core.shards import AT_ONCE, SETTLED, SHARDS

several = st.integers(1, 100)
owned = st.sets(st.integers(0, SHARDS - 1))


@given(several)
def test_all_together_may_own_everything_and_no_share_is_larger_than_needed(
    daemons: int,
) -> None:
    most = shards.quota(daemons, SHARDS)

    assert most * daemons >= SHARDS
    assert (most - 1) * daemons < SHARDS


@given(several, st.integers(0, SHARDS))
def test_while_one_has_less_than_an_even_part_nobody_has_more(
    daemons: int, fewest: int
) -> None:
    most = shards.quota(daemons, fewest)

    assert (most * daemons <= SHARDS) == (
        fewest < SHARDS // daemons or not SHARDS % daemons
    )


def test_who_is_alone_may_own_everything_whatever_is_counted() -> None:
    assert shards.quota(1, SHARDS) == shards.quota(0, 0) == SHARDS


@given(owned, st.integers(0, SHARDS))
def test_who_owns_too_much_gives_up_a_few_and_never_too_many(
    mine: set[int], most: int
) -> None:
    left = shards.surplus(mine, most, SETTLED)

    assert len(left) == len({*left} & mine) <= AT_ONCE
    assert len(mine) - len(left) >= min(most, len(mine))


def test_who_took_something_a_moment_ago_keeps_it_all_for_ten_seconds() -> None:
    assert shards.surplus({1, 2, 3}, 1, 9.9) == []
    assert shards.surplus({1, 2, 3}, 1, 10.0) == [1, 2]


@given(st.lists(st.integers(0, SHARDS - 1), unique=True), st.integers(0, 99), several)
def test_what_is_free_is_claimed_in_the_order_given_and_no_more_than_the_share(
    free: list[int], owned: int, most: int
) -> None:
    wanted = [*shards.claims(free, owned, most)]

    assert wanted == free[: len(wanted)]
    assert len(wanted) == min(len(free), max(0, most - owned))


@given(owned, st.integers(0, 99), several, owned)
def test_what_nobody_came_for_is_claimed_beyond_the_share(
    free: set[int], had: int, most: int, forsaken: set[int]
) -> None:
    within = {*shards.claims(sorted(free), had, most)}
    wanted = [*shards.claims(sorted(free), had, most, forsaken)]

    assert {*wanted} == within | free & forsaken
    assert len({*wanted}) == len(wanted)


@given(st.text())
def test_every_key_has_a_shard(key: str) -> None:
    assert 0 <= shards.shard(key) < SHARDS


def test_the_shard_of_a_key_is_the_same_for_ever() -> None:
    keys = ("prod", "prod/biz/2", "prod/biz/2/20000153", "housekeeping", "")

    assert [shards.shard(key) for key in keys] == [40, 53, 51, 17, 25]
