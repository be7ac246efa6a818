"""What several daemons see of one source, taken together."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import cluster
from monitor.core.cluster import UNKNOWN, SourceReport

SEEING = SourceReport(seen=True)
BLIND = SourceReport(lost=True, cause="unreachable")
IDLE = SourceReport()

anybody = st.lists(st.sampled_from((SEEING, BLIND, IDLE, UNKNOWN)))


@given(anybody)
def test_what_one_sees_is_not_lost(others: list[SourceReport]) -> None:
    assert cluster.lost([*others, SEEING]) is False


@given(anybody)
def test_while_one_is_in_doubt_nothing_is_lost(others: list[SourceReport]) -> None:
    assert cluster.lost([*others, UNKNOWN]) is not True


@given(st.lists(st.sampled_from((BLIND, IDLE))))
def test_it_is_lost_when_all_who_look_have_lost_it(others: list[SourceReport]) -> None:
    assert cluster.lost([*others, BLIND]) is True


def test_where_nobody_looks_nothing_is_known() -> None:
    assert cluster.lost([IDLE, IDLE]) is None
    assert cluster.lost([]) is None
