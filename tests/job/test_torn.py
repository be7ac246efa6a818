import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.job import torn

JSON = st.recursive(
    st.none()
    | st.integers()
    | st.text()
    | st.sampled_from(['"]}', "\\", '[{"', '\\"']),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=20,
)


def kept(part: Any, whole: Any) -> bool:
    """Tell whether *part* is *whole* with some things at its ends left out."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(kept(value, whole[key]) for key, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return all(map(kept, part, whole)) and len(part) <= len(whole)
    return bool(part == whole)


@given(st.dictionaries(st.text(), JSON, min_size=1, max_size=4), st.data())
@example({"": '"]}', "a": ["\\"]}, None)
def test_what_is_kept_of_a_cut_answer_was_in_it(tree: Any, data: Any) -> None:
    body = json.dumps(tree, ensure_ascii=False).encode()
    cuts = range(len(body)) if data is None else [data.draw(st.integers(0, len(body)))]
    for cut in cuts:
        mended = torn.mended(body[:cut])
        found = json.loads(mended) if mended else {}
        found.pop("job_request_id", None)
        assert kept(found, tree)


def test_rows_before_the_cut_are_kept() -> None:
    body = b'{"code":0,"data":{"id":1,"rows":[{"a":"}]"},{"a":"\\"{"},{"a":"cut'

    assert json.loads(torn.mended(body)) == {
        "code": 0,
        "data": {"id": 1, "rows": [{"a": "}]"}, {"a": '"{'}]},
        "job_request_id": "",
    }


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"}", b"]", b'{"a":"b"', b'{"a":[1,2', b"[" * 10**6]
)
def test_nothing_is_kept_where_nothing_is_whole(body: bytes) -> None:
    assert torn.mended(body) == b""


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(body: bytes) -> None:
    assert isinstance(torn.mended(body), bytes)


def test_a_whole_answer_stays_as_it_is() -> None:
    assert torn.mended(b'{"a":[1]}') == b'{"a":[1]}'


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"a":"' + b"\\n" * 2_000_000,
        b'["' + b'","' * 1_300_000,
        b"[" + b"[]," * 1_300_000,
        b"{" * 4_000_000,
        b'{"a' * 1_300_000,
        b'\\"' * 2_000_000,
    ],
)
def test_hostile_megabytes_cost_no_long_pause(hostile: bytes) -> None:
    before = time.process_time()
    mended = torn.mended(hostile)

    assert time.process_time() - before < 2
    assert not mended or msgspec.json.decode(mended)
