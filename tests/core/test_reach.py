from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import reach
from monitor.core.reach import Cause, Kind, Reach, Standing

LOST_AFTER = 30.0


def failing(*at: float, cause: Cause = Cause.UNREACHABLE) -> Reach:
    """What is known of a source whose visits failed at these moments."""
    known = reach.SEEN
    for now in at:
        known = reach.after_failure(known, cause, now=now, lost_after=LOST_AFTER)
    return known


def test_the_first_failed_visit_casts_doubt() -> None:
    assert failing(100.0) == Reach(
        standing=Standing.DOUBTED, since=100.0, failures=1, cause=Cause.UNREACHABLE
    )


def test_one_success_ends_every_doubt() -> None:
    assert reach.after_success(failing(0, 1, 2)) == reach.SEEN
    assert reach.after_success(reach.SEEN) is reach.SEEN


def test_five_tries_in_a_moment_lose_nothing() -> None:
    assert failing(0, 1, 2, 3, 29.9).standing is Standing.DOUBTED


def test_a_long_time_with_four_tries_loses_nothing() -> None:
    assert failing(0, 1000, 2000, 3000).standing is Standing.DOUBTED


def test_five_tries_over_thirty_seconds_lose_the_source() -> None:
    assert failing(0, 1, 2, 3, 30).standing is Standing.LOST


def test_refused_credentials_lose_the_source_at_once() -> None:
    assert failing(0, cause=Cause.AUTH) == Reach(
        standing=Standing.LOST, since=0, failures=1, cause=Cause.AUTH
    )


def test_a_lost_source_stays_lost_until_it_is_seen() -> None:
    lost = failing(0, cause=Cause.AUTH)
    still = reach.after_failure(lost, Cause.THROTTLED, now=0.1, lost_after=LOST_AFTER)

    assert (still.standing, still.cause) == (Standing.LOST, Cause.THROTTLED)
    assert reach.after_success(still) == reach.SEEN


def test_a_new_doubt_begins_anew() -> None:
    restored = reach.after_success(failing(0, 1, 2, 3))
    again = reach.after_failure(
        restored, Cause.GARBLED, now=500.0, lost_after=LOST_AFTER
    )

    assert again == Reach(
        standing=Standing.DOUBTED, since=500.0, failures=1, cause=Cause.GARBLED
    )


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (Standing.SEEN, Standing.SEEN, None),
        (Standing.SEEN, Standing.DOUBTED, None),
        (Standing.DOUBTED, Standing.SEEN, None),
        (Standing.SEEN, Standing.LOST, Kind.LOST),
        (Standing.DOUBTED, Standing.LOST, Kind.LOST),
        (Standing.LOST, Standing.LOST, None),
        (Standing.LOST, Standing.SEEN, Kind.RESTORED),
    ],
)
def test_only_loss_and_return_are_told_and_never_doubt(
    before: Standing, after: Standing, kind: Kind | None
) -> None:
    assert reach.change(Reach(standing=before), Reach(standing=after)) is kind


def visits() -> st.SearchStrategy[list[tuple[float, Cause | None]]]:
    """Visits as (seconds since the last, what went wrong)."""
    return st.lists(
        st.tuples(
            st.sampled_from([0.0, 1.0, 7.5, 30.0]),
            st.sampled_from([*Cause, None, Cause.UNREACHABLE, Cause.UNREACHABLE]),
        ),
        max_size=20,
    )


@given(visits())
def test_a_source_is_lost_only_after_patience_or_for_its_credentials(
    story: list[tuple[float, Cause | None]],
) -> None:
    known, now = reach.SEEN, 0.0
    failed: list[tuple[float, Cause]] = []
    for wait, cause in story:
        now += wait
        if cause is None:
            known, failed = reach.after_success(known), []
        else:
            known = reach.after_failure(known, cause, now=now, lost_after=LOST_AFTER)
            failed.append((now, cause))

        refused = any(cause is Cause.AUTH for _, cause in failed)
        patient = any(moment - failed[0][0] >= LOST_AFTER for moment, _ in failed[4:])
        assert (known.standing is Standing.LOST) == (refused or patient)
        assert known.failures == len(failed)


@given(visits())
def test_loss_and_return_take_turns(story: list[tuple[float, Cause | None]]) -> None:
    known, now, kinds = reach.SEEN, 0.0, [Kind.RESTORED]
    for wait, cause in story:
        now += wait
        before = known
        known = (
            reach.after_success(known)
            if cause is None
            else reach.after_failure(known, cause, now=now, lost_after=LOST_AFTER)
        )
        if kind := reach.change(before, known):
            kinds.append(kind)

    assert all(one is not other for one, other in pairwise(kinds))
