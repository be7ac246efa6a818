"""Of several machines' files the newest content counts, whoever reads it when."""

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from monitor.core import lists
from monitor.core.lists import EMPTY, NEVER, Claim, Former, Said

NAMES = ("a.txt", "b.txt")
NODES = ("one", "two", "three")
NOW = 1_000.0


def a_claim(
    digest: str = "x", node: str = "one", at: float = NOW, name: str = "a.txt"
) -> Claim:
    return Claim(name=name, node=node, at=at, said=Said(digest=digest))


def some_claims() -> st.SearchStrategy[list[Claim]]:
    claim = st.builds(
        a_claim,
        digest=st.sampled_from((EMPTY, "x", "y", "z")),
        node=st.sampled_from(NODES),
        at=st.sampled_from((NEVER, 1.0, 2.0, 3.0)),
        name=st.sampled_from(NAMES),
    )
    return st.lists(claim, max_size=8, unique_by=lambda each: (each.name, each.node))


class Table:
    """What machines say one after the other, each second of the database's clock."""

    def __init__(self) -> None:
        self.claims: dict[str, Claim] = {}
        self._clock = count(1)

    def says(self, node: str, digest: str) -> None:
        others = [each for each in self.claims.values() if each.node != node]
        said, now = Said(digest=digest), float(next(self._clock))
        mine = self.claims.get(node)
        claim = a_claim(digest, node, lists.since(said, mine, others, now))
        self.claims[node] = structs.replace(claim, past=lists.past(said, mine, now))

    @property
    def counts(self) -> str:
        [winner] = lists.winners(self.claims.values())
        return winner.said.digest


Sayings = Sequence[tuple[str, str]]


def some_sayings() -> st.SearchStrategy[Sayings]:
    saying = st.tuples(st.sampled_from(NODES), st.sampled_from((EMPTY, "x", "y", "z")))
    return st.lists(saying, min_size=1, max_size=12)


def a_table(said: Sayings) -> Table:
    table = Table()
    for node, digest in said:
        table.says(node, digest)
    return table


@given(some_claims(), st.randoms(use_true_random=False))
def test_all_choose_the_same_whatever_the_order_in_which_they_read(
    claims: list[Claim], luck: Random
) -> None:
    shuffled = sorted(claims, key=lambda _: luck.random())

    assert lists.winners(shuffled) == lists.winners(claims)


@given(some_claims())
def test_what_counts_stays_where_the_rest_is_forgotten(claims: list[Claim]) -> None:
    won = lists.winners(claims)

    assert lists.winners(won) == won
    assert {each.name for each in won} == {each.name for each in claims}


@given(some_claims())
def test_nobody_has_anything_newer_than_what_counts(claims: list[Claim]) -> None:
    newest = {each.name: each.at for each in lists.winners(claims)}

    assert all(each.at <= newest[each.name] for each in claims)


@given(some_sayings(), st.sampled_from(NODES))
def test_whoever_reads_again_what_it_had_changes_nothing(
    said: Sayings, node: str
) -> None:
    table = a_table(said)
    before = dict(table.claims)
    if node in before:
        table.says(node, before[node].said.digest)

    assert table.claims == before


@given(some_sayings(), st.permutations(NODES))
def test_restarts_in_any_order_change_nothing(
    said: Sayings, order: Sequence[str]
) -> None:
    table = a_table(said)
    before = table.counts
    for node in order:
        if node in table.claims:
            table.says(node, table.claims[node].said.digest)

    assert table.counts == before


@given(some_sayings())
def test_what_a_machine_changes_counts_at_once(said: Sayings) -> None:
    table = a_table([*said, ("one", "before")])
    table.says("one", "new")

    assert table.counts == "new"


@given(st.lists(st.tuples(st.sampled_from(NODES), st.integers(0, 3)), max_size=20))
def test_who_follows_late_takes_nothing_back(steps: Sequence[tuple[str, int]]) -> None:
    """One machine has each version at once, others leave some out and come later."""
    table, newest, had = a_table([("one", "0")]), 0, dict.fromkeys(NODES, 0)
    for node, more in steps:
        ahead = newest + 1 if node == "one" else min(newest, had[node] + more)
        had[node], newest = ahead, max(newest, ahead)
        table.says(node, str(ahead))

        assert table.counts == str(newest)


def test_who_goes_back_to_what_he_had_is_followed() -> None:
    table = a_table([("one", "x"), ("two", "x"), ("one", "y"), ("two", "y")])

    for node in ("one", "two"):
        table.says(node, "x")
        assert table.counts == "x"


def test_what_another_had_long_ago_is_new_again() -> None:
    then, long_after = [a_claim("x", "two", NOW)], NOW + 2 * lists.RECENT
    mine = a_claim("y", "one", NOW + 1)

    at = lists.since(Said(digest="x"), mine, then, long_after)

    assert at == long_after


def test_of_what_a_machine_had_the_last_is_remembered_for_a_while() -> None:
    claim = a_claim("0")
    for second in range(1, 200):
        said, now = Said(digest=str(second)), NOW + second
        former = lists.past(said, claim, now)
        claim = structs.replace(claim, at=now, said=said, past=former)

    assert len(claim.past) == lists.MOST_FORMER
    assert claim.past[-1] == Former("198", NOW + 198, NOW + 199)
    assert lists.past(claim.said, claim, NOW + 1000) == ()


LEFT_FOR_OLDER: Final = [
    ("one", "y"),
    ("two", "x"),
    ("one", EMPTY),
    ("two", "y"),
    ("one", "y"),
    ("one", "x"),
]


@given(some_sayings())
@example(LEFT_FOR_OLDER)
def test_a_new_machine_with_what_another_has_changes_nothing(said: Sayings) -> None:
    for theirs in sorted({each.said.digest for each in a_table(said).claims.values()}):
        table = a_table(said)
        before = table.counts
        table.says("new", theirs)

        assert table.counts == before


@given(some_sayings())
def test_an_empty_file_of_a_new_machine_empties_no_other(said: Sayings) -> None:
    table = a_table(said)
    before = table.counts
    table.says("new", EMPTY)

    assert table.counts == before


def test_an_empty_file_is_a_content_of_its_own() -> None:
    assert a_table([("one", EMPTY)]).counts == EMPTY
    assert a_table([("one", "x"), ("two", "x"), ("two", EMPTY)]).counts == EMPTY


def test_a_rolling_update_counts_from_the_first_machine_on() -> None:
    table = a_table([("one", "x"), ("two", "x"), ("three", "x")])

    for node in NODES:
        table.says(node, "y")
        assert table.counts == "y"


def test_a_clock_that_was_set_back_makes_nothing_older() -> None:
    known = a_claim("x", "one", NOW)

    at = lists.since(Said(digest="y"), a_claim("x", "two", NOW), [known], NOW - 60)

    assert at > NOW


def test_files_are_read_in_the_order_of_the_patterns_then_of_names() -> None:
    first = structs.replace(a_claim(name="z.txt"), said=Said(digest="x", rank=0))
    others = [
        structs.replace(a_claim(name=name), said=Said(digest="x", rank=1))
        for name in ("b.txt", "a.txt")
    ]

    won = lists.winners([*others, first])

    assert [each.name for each in won] == ["z.txt", "a.txt", "b.txt"]


def test_who_lives_and_has_another_content_loses() -> None:
    won, gone = a_claim("y", "one", 3.0), a_claim("x", "two", 1.0)
    lost, same = a_claim("z", "three", 2.0), a_claim("y", "four", 2.0)

    found = lists.losers([won, gone, lost, same], {"one", "three", "four"})

    assert found == [lost]
