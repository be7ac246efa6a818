from random import Random

from hypothesis import given
from hypothesis import strategies as st

from monitor.core import codes, model
from monitor.core.model import Address, HostId, Snapshot
from tests.core import builders
from tests.core.builders import KEY, POOL, hosts, job, step


def some_rows() -> st.SearchStrategy[list[tuple[HostId, int]]]:
    return st.lists(
        st.tuples(st.sampled_from(POOL), builders.a_host_status()), max_size=12
    )


@given(some_rows(), st.randoms())
def test_duplicate_rows_count_once_whatever_their_order(
    pairs: list[tuple[HostId, int]], luck: Random
) -> None:
    shuffled = luck.sample(pairs, len(pairs))

    assert model.rows(pairs) == model.rows(shuffled)
    assert model.rows(pairs).keys() == {host for host, _ in pairs}


@given(some_rows())
def test_one_failed_row_makes_the_host_failed(pairs: list[tuple[HostId, int]]) -> None:
    failed = {host for host, status in pairs if codes.host_failed(status)}

    gathered = model.rows(pairs)

    assert failed == {h for h, status in gathered.items() if codes.host_failed(status)}


def test_hosts_are_counted_by_status_the_lowest_code_first() -> None:
    counted = step(2, hosts(_1=104, _2=9, _3=104, _4=7)).counts()

    assert [*counted.items()] == [(7, 1), (9, 1), (104, 2)]


@given(st.ip_addresses(), st.integers(0, 2**31))
def test_a_host_id_tells_its_cloud_area_and_address(ip: object, cloud: int) -> None:
    shown = model.address(model.host_id(str(ip), cloud))

    assert (shown.bk_cloud_id, shown.ip) == (cloud, str(ip))


def test_a_host_without_an_ip_has_none() -> None:
    assert model.address(model.host_id(None, 3)) == Address(bk_cloud_id=3)


def test_a_key_names_its_subject_and_its_scope() -> None:
    assert str(KEY) == "prod/biz/2/20000153"
    assert KEY.subject == "biz/2/20000153"
    assert KEY.scope == "prod/biz/2"


def test_codes_in_no_table_are_listed_and_all_others_are_not() -> None:
    strange = job(99, step(98, hosts(_1=77, _2=9, _3=77)), step(3, number=2))

    assert model.unknown_codes(strange) == {("run", 99), ("run", 98), ("host", 77)}


@given(builders.a_snapshot())
def test_unknown_codes_are_never_fatal(snapshot: Snapshot) -> None:
    unknown = model.unknown_codes(snapshot)

    assert unknown <= {("run", 0), ("run", -1), ("run", 99), ("host", 77)}
    assert snapshot.finished is codes.run(snapshot.status).finished
