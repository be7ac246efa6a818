from hypothesis import given
from hypothesis import strategies as st

from monitor.job import digest
from tests.job import recorded

IDS = st.text("0123456789abcdef-", min_size=1, max_size=64)
NUMBERS = st.integers(0, 5_000)


def answer(esb: str, job: str, *, hosts: int = 1, name: str = "x") -> bytes:
    """Build an answer with one id before the data and one behind it."""
    data = {"name": name, "hosts": ["10.0.0.1"] * hosts}
    return recorded.dump(
        {"result": True, "request_id": esb, "data": data, "job_request_id": job}
    )


@given(IDS, IDS, IDS, st.sampled_from([0, 1, 20, 21, 22, 23, 40, 1_000]))
def test_fresh_request_ids_are_not_seen(esb: str, job: str, new: str, n: int) -> None:
    new = (new * 64)[: len(esb)]
    one, other = answer(esb, job, hosts=n), answer(new, job[::-1], hosts=n)

    assert digest.of(one) == digest.of(other)


@given(st.binary(max_size=2_000), st.binary(max_size=2_000))
def test_different_bodies_differ(one: bytes, other: bytes) -> None:
    assert (digest.of(one) == digest.of(other)) == (one == other)


@given(st.data(), st.sampled_from([1, 20, 1_000]))
def test_any_change_outside_the_ids_is_seen(data: st.DataObject, hosts: int) -> None:
    body = answer("", "", hosts=hosts)
    place = data.draw(st.integers(0, len(body) - 1))
    changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    assert digest.of(changed) != digest.of(body)


@given(IDS, IDS, st.integers(0, 300))
def test_what_looks_like_an_id_inside_a_name_is_seen(
    one: str, other: str, indent: int
) -> None:
    def body(name_id: str) -> bytes:
        return answer("a", "b", name=" " * indent + f'"request_id":"{name_id}"')

    assert (digest.of(body(one)) == digest.of(body(other))) == (one == other)


def test_an_id_that_swallows_a_field_is_not_taken_for_the_field() -> None:
    one = rb'{"request_id":"ab\","status":3,"x":"", "status":4}'
    other = rb'{"request_id":"ab","status":3,"x":"", "status":4}'

    assert digest.of(one) != digest.of(other)


def test_a_missing_id_is_not_an_empty_one() -> None:
    assert digest.of(b'{"request_id":"x"}') != digest.of(b'{"}')
