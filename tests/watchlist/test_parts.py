"""A file's content, on its way to other machines."""

import pytest
from msgspec import structs

from monitor import errors
from monitor.core.lists import EMPTY
from monitor.ports import Part
from monitor.watchlist import parts
from monitor.watchlist.reading import Parsed
from tests.watchlist.reading import SOURCES, parsed

RULES = """
defaults: {labels: {team: sre}}
watches: [2/1, stag/biz_set/9/2 severity=critical until=2026-12-31]
discover: [{bk_biz_id: 2, name: "deploy-*", status: [failed], age: 1d}]
"""


def lines(count: int, first: int = 1) -> str:
    return "".join(f"2/{n} team=t{n % 3}\n" for n in range(first, first + count))


def digests(packed: list[Part]) -> list[str]:
    return [part.digest for part in packed]


def travelled(found: Parsed, path: str, sources: tuple[str, ...] = SOURCES) -> Parsed:
    return parts.joined(
        [parts.unpacked(part, path, sources) for part in parts.packed(found, ())]
    )


@pytest.mark.parametrize(
    ("path", "content"),
    [("a.yaml", RULES), ("a.txt", lines(2500)), ("a.txt", "")],
)
def test_a_content_arrives_as_if_it_had_been_read_there(
    path: str, content: str
) -> None:
    here, there = parsed(f"/here/{path}", content), parsed(f"/there/{path}", content)

    assert travelled(here, f"/there/{path}") == there


def test_equal_labels_arrive_as_one_object() -> None:
    found = travelled(parsed("a.txt", lines(9)), "a.txt")

    assert len({id(watch.labels) for watch in found.watches}) == 3


def test_what_concerns_a_source_that_is_not_known_is_left_out() -> None:
    found = travelled(parsed("a.yaml", RULES), "a.yaml", ("stag",))

    assert [str(watch.key) for watch in found.watches] == ["stag/biz_set/9/2"]
    assert found.rules == ()


def test_where_the_file_lies_makes_no_difference() -> None:
    here, there = parsed("/here/a.yaml", RULES), parsed("/there/a.yaml", RULES)

    assert parts.packed(here, ()) == parts.packed(there, ())


def test_an_appended_line_changes_the_last_part_alone() -> None:
    before = parts.packed(parsed("a.txt", lines(3500)), ())
    after = parts.packed(parsed("a.txt", lines(3501)), before)

    assert len(after) == 4
    assert after[:3] == before[:3]
    assert digests(after)[3] != digests(before)[3]


def test_of_nothing_there_are_no_parts() -> None:
    assert parts.packed(Parsed(), ()) == []
    assert parts.whole([]) == EMPTY
    assert parts.whole(["x"]) not in (EMPTY, parts.whole(["y"]))


@pytest.mark.parametrize("body", [b"", b"no zlib", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_damaged_part_is_refused(body: bytes) -> None:
    [part] = parts.packed(parsed("a.txt", "2/1\n"), ())

    with pytest.raises(errors.StoreError, match="restore a backup"):
        parts.unpacked(structs.replace(part, body=body), "a.txt", SOURCES)


def test_a_part_that_is_not_the_one_that_was_asked_for_is_refused() -> None:
    [one], [two] = (parts.packed(parsed("a.txt", f"2/{n}\n"), ()) for n in (1, 2))

    with pytest.raises(errors.StoreError, match="restore a backup"):
        parts.unpacked(Part(one.digest, two.body), "a.txt", SOURCES)
