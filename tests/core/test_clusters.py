from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from monitor.core import clusters
from monitor.core.clusters import Tail, Tails, Wanted
from monitor.core.model import Failure, HostId, Step, host_id
from tests.core.builders import STEPS, step

laws = settings(max_examples=100, deadline=None)

STEP = STEPS[0]
FULL = "tar: /data/a1/pkg.tgz: No space left on device"
OTHER_FULL = "tar: /data/f77/pkg.tgz: No space left on device"
DENIED = "bash: /opt/run.sh: Permission denied"


def many(count: int, start: int = 0) -> list[HostId]:
    numbers = range(start, start + count)
    return [host_id(f"10.0.{n // 250}.{n % 250}", 0) for n in numbers]


def failed(
    *hosts: HostId, status: int = 104, attempt: int = 0, exit_code: int | None = None
) -> dict[HostId, Failure]:
    return dict.fromkeys(hosts, Failure(status, attempt, exit_code))


def a_step(
    failures: Mapping[HostId, Failure], *, attempt: int = 0, number: int = STEP
) -> Step:
    return structs.replace(step(4, attempt=attempt, number=number), failures=failures)


def said(*texts: str, attempt: int = 0, start: int = 0) -> dict[HostId, Tail]:
    hosts = many(len(texts), start)
    return {h: Tail(attempt, t) for h, t in zip(hosts, texts, strict=True)}


def tails_of(step_tails: Mapping[HostId, Tail], number: int = STEP) -> Tails:
    return {number: step_tails}


def some_failures() -> st.SearchStrategy[dict[HostId, Failure]]:
    failure = st.builds(
        Failure,
        st.sampled_from([104, 11, 2, 403, 404, 500, 77]),
        st.integers(0, 1),
        st.sampled_from([None, 0, 1, 2, 3, 4, 127]),
        st.sampled_from(["", "disk", "net"]),
    )
    return st.dictionaries(st.sampled_from(many(40)), failure, max_size=40)


def some_tails() -> st.SearchStrategy[dict[HostId, Tail]]:
    texts = st.sampled_from(["", FULL, OTHER_FULL, DENIED, "line\n" * 5])
    tail = st.builds(Tail, st.integers(0, 1), texts)
    return st.dictionaries(st.sampled_from(many(40)), tail, max_size=30)


def test_exit_code_and_tag_tell_failures_apart() -> None:
    one, two, three, four = many(4)
    failures = {
        one: Failure(104, 0, 1, "disk"),
        two: Failure(104, 0, 2, "disk"),
        three: Failure(104, 0, 1, "net"),
        four: Failure(104, 0, 1, "disk"),
    }

    assert [
        (it.exit_code, it.tag, it.count) for it in clusters.gathered(failures, {})
    ] == [(1, "disk", 2), (1, "net", 1), (2, "disk", 1)]


def test_a_cluster_shows_the_log_of_its_first_example() -> None:
    failures = failed(*many(5))
    [cluster] = clusters.gathered(failures, said("", "", FULL))

    assert (cluster.count, cluster.log) == (5, FULL)
    assert cluster.examples == (many(5)[2], *many(2))


def test_logs_that_end_alike_but_for_numbers_are_one_cluster() -> None:
    [cluster] = clusters.gathered(failed(*many(9)), said(FULL, OTHER_FULL, FULL))

    assert (cluster.count, cluster.log) == (9, FULL)


def test_logs_that_end_otherwise_divide_and_the_unread_go_with_the_commonest() -> None:
    common, odd = clusters.gathered(failed(*many(9)), said(FULL, DENIED, OTHER_FULL))

    assert (common.count, common.log) == (8, FULL)
    assert (odd.count, odd.log, odd.examples) == (1, DENIED, (many(2)[1],))


def test_a_log_of_another_attempt_explains_nothing() -> None:
    [cluster] = clusters.gathered(failed(*many(2), attempt=1), said(FULL, attempt=0))

    assert cluster.log == ""


def test_many_small_clusters_are_summed_up_with_an_honest_count() -> None:
    big = failed(*many(5))
    small = {
        host: Failure(11, 0, code)
        for code, host in enumerate(many(20, start=5), start=1)
    }
    found = clusters.gathered(big | small, {})

    assert [it.count for it in found] == [5, *[1] * 9, 11]
    assert (found[-1].status, found[-1].kinds, len(found[-1].examples)) == (11, 11, 3)


def test_a_single_cluster_too_many_is_shown_as_it_is() -> None:
    failures = {host: Failure(11, 0, code) for code, host in enumerate(many(11))}
    found = clusters.gathered(failures, {})

    assert [(it.exit_code, it.kinds) for it in found] == [(n, 1) for n in range(11)]


def test_three_hosts_of_each_kind_are_asked_for_their_logs() -> None:
    alike, others = many(5), many(2, start=5)
    failing = a_step(failed(*alike, exit_code=1) | failed(*others, exit_code=2))

    assert clusters.wanted([failing], {}) == (Wanted(STEP, 0, (*alike[:3], *others)),)


def test_who_was_asked_is_not_asked_again_even_if_there_was_no_log() -> None:
    failing = a_step(failed(*many(5)))

    assert clusters.wanted([failing], tails_of(said("", FULL))) == (
        Wanted(STEP, 0, (many(3)[2],)),
    )
    assert clusters.wanted([failing], tails_of(said("", "", ""))) == ()


@pytest.mark.parametrize("status", clusters.WITHOUT_LOG)
def test_where_nothing_was_started_no_log_is_asked_for(status: int) -> None:
    assert clusters.wanted([a_step(failed(*many(3), status=status))], {}) == ()


def test_failures_of_an_earlier_attempt_are_not_asked_about() -> None:
    now, before = many(2)
    failures = failed(now, attempt=1) | failed(before, attempt=0)

    assert clusters.wanted([a_step(failures, attempt=1)], {}) == (
        Wanted(STEP, 1, (now,)),
    )
    assert clusters.wanted([a_step(failed(before), attempt=1)], {}) == ()


def test_of_one_instance_no_more_than_thirty_logs_are_kept() -> None:
    kinds = {h: Failure(104, 0, n) for n, h in enumerate(many(60))}
    steps = [a_step(kinds, number=number) for number in range(1, 8)]
    asked = clusters.wanted(steps, {})

    assert sum(len(wanted.hosts) for wanted in asked) == 30
    heard = {w.step_instance_id: dict.fromkeys(w.hosts, Tail(0)) for w in asked}
    assert clusters.wanted(steps, heard) == ()
    beyond = {99: dict.fromkeys(many(5), Tail(0))}
    assert clusters.joined(heard, beyond) == heard


def test_a_tail_goes_with_the_failure_it_explains() -> None:
    known = tails_of(said(FULL, DENIED))
    one, two = many(2)

    assert clusters.kept([a_step(failed(one))], known) == tails_of(said(FULL))
    again = failed(one) | failed(two, attempt=1)
    assert clusters.kept([a_step(again, attempt=1)], known) == tails_of(said(FULL))
    assert clusters.kept([a_step({})], known) == {}
    assert clusters.kept([a_step(failed(one), number=1)], known) == {}


@laws
@given(some_failures(), some_tails())
def test_every_failed_host_is_counted_once(
    failures: dict[HostId, Failure], tails: dict[HostId, Tail]
) -> None:
    found = clusters.gathered(failures, tails)

    assert sum(cluster.count for cluster in found) == len(failures)
    assert len(found) <= clusters.MOST + 1
    for cluster in found:
        assert 1 <= len(cluster.examples) <= 3
        assert set(cluster.examples) <= failures.keys()
        assert not cluster.log or cluster.log == tails[cluster.examples[0]].text


@laws
@given(some_failures(), some_tails(), st.randoms())
def test_the_order_of_rows_says_nothing(
    failures: dict[HostId, Failure], tails: dict[HostId, Tail], random: Random
) -> None:
    rows = [*failures.items()]
    random.shuffle(rows)
    again = [a_step(dict(rows))]

    assert clusters.gathered(dict(rows), tails) == clusters.gathered(failures, tails)
    assert clusters.wanted(again, {}) == clusters.wanted([a_step(failures)], {})


@laws
@given(some_failures(), st.lists(some_failures(), max_size=4))
def test_asking_comes_to_an_end_and_stays_within_its_bounds(
    first: dict[HostId, Failure], more: list[dict[HostId, Failure]]
) -> None:
    tails: Tails = {}
    for failures in (first, *more):
        steps = [a_step(failures)]
        tails = clusters.kept(steps, tails)
        for wanted in clusters.wanted(steps, tails):
            heard = dict.fromkeys(wanted.hosts, Tail(wanted.execute_count))
            tails = clusters.joined(tails, clusters.kept(steps, tails_of(heard)))
        assert clusters.wanted(steps, tails) == ()
        assert sum(map(len, tails.values())) <= clusters.MOST_TAILS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-11-23 10:22:31,123 ERROR no", "2025-01-02 03:04:05,6 ERROR no"),
        ("Mon Nov 23 10:22:31 UTC: no", "Tue Dec  1 01:02:03 UTC: no"),
        (
            "connect to 10.0.0.1 port 22: refused",
            "connect to 10.1.2.3 port 8022: refused",
        ),
        ("db-07.example.com: refused", "db-11.example.com: refused"),
        ("open fe80::1:2 failed", "open fe80::3:4 failed"),
        ("trace 4f2a-9c failed", "trace 77aa-0b failed"),
        ("/data/job_1/a.sh: line 3: x", "/data/job_29/a.sh: line 12: x"),
        ("ssh root@here: no", "ssh root@there: no"),
        ("one\ntwo\nthe end", "another\none\ntwo\nthe end\n\n"),
        ("commit deadbeef", "commit cafebabe"),
    ],
)
def test_what_differs_from_host_to_host_makes_no_difference(
    one: str, other: str
) -> None:
    assert clusters.fingerprint(one) == clusters.fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (FULL, DENIED),
        ("java.lang.NullPointerException", "java.lang.OutOfMemoryError"),
        ("/opt/a.sh: not found", "/opt/b.sh: not found"),
        ("磁盘已满", "权限不足"),
    ],
)
def test_what_says_something_else_is_something_else(one: str, other: str) -> None:
    assert clusters.fingerprint(one) != clusters.fingerprint(other)


@laws
@given(st.text(max_size=4096))
def test_a_fingerprint_is_short_whatever_the_text(text: str) -> None:
    assert len(clusters.fingerprint(text)) <= 3 * 201
