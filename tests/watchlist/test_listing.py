from monitor.watchlist import listing
from monitor.watchlist.listing import Difference, Listing
from tests.watchlist.reading import parsed


def listed(content: str) -> Listing:
    return listing.gather([parsed("list.txt", content)])


def test_the_first_of_two_entries_wins_and_the_repeat_is_no_fault() -> None:
    found = listing.gather(
        [
            parsed("a.txt", "2/1 team=sre\n2/2\nprod/biz/2/1 team=dba\n"),
            parsed("b.txt", "2/1 team=web\n"),
        ]
    )

    assert [watch.labels for watch in found.watches.values()] == [{"team": "sre"}, {}]
    assert found.faults == ()
    assert [str(repeat) for repeat in found.repeats] == [
        "a.txt:3: prod/biz/2/1 repeats a.txt:1",
        "b.txt:1: prod/biz/2/1 repeats a.txt:1",
    ]


def test_repeats_are_bounded() -> None:
    assert len(listed("2/1\n" * 2_000).repeats) == listing.MOST_REPEATS


def test_equal_lists_do_not_differ() -> None:
    assert listing.difference(listed("2/1 a=b"), listed("2/1 a=b")) == Difference()


def test_an_entry_that_only_moved_is_not_changed() -> None:
    before, after = listed("2/1\n2/2\n"), listed("# first\n2/2\n2/1\n")

    assert before != after
    assert listing.difference(before, after) == Difference()


def test_the_difference_names_what_came_went_and_says_something_else() -> None:
    before = listed("2/1\n2/2 a=b\n2/3 settle=1h\n2/4 a=b")
    after = listed("2/2 a=c\n2/3 settle=2h\n2/4 a=b\n2/5\n")
    gone = next(iter(before.watches))
    second, third, _, fifth = after.watches.values()

    assert listing.difference(before, after) == Difference(
        added=(fifth,), removed=(gone,), changed=(second, third)
    )
