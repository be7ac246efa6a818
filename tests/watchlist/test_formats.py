import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.watchlist import formats
from tests.watchlist.reading import SOURCES, faults, keys, parsed

NAMES = ["a.txt", "a.csv", "a.jsonl", "a.json", "a.yaml", "a.yml"]

PIECES = [
    *"{}[]:,#\"'\\/=-&*!|>?%@ \n\t\r0\u0085\u2028\ufeff运",
    *("watches:", "defaults:", "discover:", "- ", "labels", "until", "2026-01-01"),
    *("bk_biz_id", "bk_scope_id", "job_instance_id", "severity", "critical", "stag"),
    *("2/1", " team=sre", '"data"', "null", "\\ud83d", "---\n", "<<", "*a", "&a "),
]


@pytest.mark.parametrize("name", ["list.conf", "list", "README.md", ".txt", "a.TXT"])
def test_a_name_that_says_no_format_is_one_fault(name: str) -> None:
    found = parsed(name, "2/1\n2/2\n")

    assert faults(found) == [
        (
            f"{name}: unknown kind of file; the name must end in"
            " .txt, .csv, .jsonl, .yaml, .yml, .json"
        )
    ]
    assert not found.legible


@pytest.mark.parametrize("name", NAMES)
def test_a_huge_file_is_one_fault(name: str) -> None:
    found = parsed(name, bytes(formats.LARGEST + 1))

    assert faults(found) == [f"{name}: is larger than 64 MiB"]
    assert not found.legible


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_utf_16_is_one_fault(name: str) -> None:
    found = parsed(name, "2/1\n2/2\n".encode("utf-16"))

    assert faults(found) == [f"{name}: is UTF-16: save it as UTF-8"]
    assert not found.legible


@pytest.mark.parametrize("name", NAMES)
@given(
    content=st.binary()
    | st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode())
)
def test_any_bytes_are_watches_or_faults(name: str, content: bytes) -> None:
    found = parsed(name, content)

    assert {watch.key.source for watch in found.watches} <= {*SOURCES}
    assert {fault.place.path for fault in found.faults} <= {name}
    assert found.legible or found.faults


@pytest.mark.parametrize(
    ("name", "content", "entry"),
    [
        ("a.txt", "2/1 team=sre", "2/{} team=sre"),
        ("a.csv", "bk_biz_id,job_instance_id\n2,1", "2,{}"),
        (
            "a.jsonl",
            '{"bk_biz_id":2,"job_instance_id":1}',
            '{{"bk_biz_id":2,"job_instance_id":{}}}',
        ),
        ("a.yaml", "watches:\n- 2/1", "- 2/{}"),
    ],
)
def test_a_line_that_is_still_being_written_never_costs_those_before_it(
    name: str, content: str, entry: str
) -> None:
    whole = f"{content}\n{entry.format(20000153)}\n"

    for end in range(len(content), len(whole)):
        assert "prod/biz/2/1" in keys(parsed(name, whole[:end]))
