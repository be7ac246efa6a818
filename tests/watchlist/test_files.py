import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing
from tests.watchlist.reading import SOURCES

SECOND_NS = 1_000_000_000
UNREADABLE = "Too many levels of symbolic links"


def files(directory: Path, *patterns: str) -> Files:
    return Files(patterns, directory=directory, sources=SOURCES)


def numbers(found: Listing) -> list[int]:
    return [key.job_instance_id for key in found.watches]


def faults(found: Listing) -> list[str]:
    return [str(fault) for fault in found.faults]


def write(directory: Path, **contents: str) -> None:
    """Write ``a="…"`` to ``a.txt``."""
    for name, content in contents.items():
        (directory / f"{name}.txt").write_text(content)


def spoil(path: Path) -> None:
    """Make *path* unreadable even for root: a link that leads to itself."""
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["a.txt"], [1]),
        (["b.txt", "a.txt"], [2, 1]),
        (["*.txt"], [1, 2]),
        (["b.txt", "*"], [2, 1]),
        (["d"], [3, 4]),
        (["d/"], [3, 4]),
        (["./d/*", "[ab].txt"], [3, 4, 1, 2]),
        (["*/*.txt"], [3, 4]),
        (["**/*.txt"], [1, 2, 5, 3, 4]),
        (["*.csv"], []),
        (["e/*"], []),
        (["f[1].txt"], [6]),
    ],
)
def test_lists_are_read_in_the_order_of_patterns_and_names(
    tmp_path: Path, patterns: Sequence[str], expected: list[int]
) -> None:
    (tmp_path / "d" / "sub").mkdir(parents=True)
    write(tmp_path, b="2/2", a="2/1")
    write(tmp_path / "d", x="2/3", y="2/4", **{".z": "2/9"})
    write(tmp_path / "d" / "sub", w="2/5")
    if "f[1].txt" in patterns:
        write(tmp_path, **{"f[1]": "2/6", "f1": "2/7"})

    found = files(tmp_path, *patterns).read()

    assert (numbers(found), faults(found)) == (expected, [])


def test_an_absolute_pattern_is_shown_as_it_was_written(tmp_path: Path) -> None:
    write(tmp_path, a="x")

    found = files(Path("/"), f"{tmp_path}/*.txt").read()

    assert [fault.place.path for fault in found.faults] == [f"{tmp_path}/a.txt"]


def test_a_relative_pattern_is_shown_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", a="x", b="2/1")

    found = files(tmp_path, "./d").read()

    assert [fault.place.path for fault in found.faults] == ["./d/a.txt"]
    assert [watch.place.path for watch in found.watches.values()] == ["./d/b.txt"]


@pytest.mark.parametrize(
    "name", [".a.txt", "a.txt~", ".a.txt.swp", "a.swp", "#a.txt#", "a.txt.tmp"]
)
def test_what_editors_leave_behind_is_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("2/1")

    assert files(tmp_path, "*", ".*", str(tmp_path)).read() == Listing()


def test_a_file_of_no_known_kind_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "README").write_text("2/1")

    assert faults(files(tmp_path, "*").read()) == [
        (
            "README: unknown kind of file; the name must end in"
            " .txt, .csv, .jsonl, .yaml, .yml, .json"
        )
    ]


def test_a_plain_file_that_does_not_exist_is_a_fault(tmp_path: Path) -> None:
    found = files(tmp_path, "a.txt", "d").read()

    assert faults(found) == [
        "a.txt: cannot be read: No such file or directory",
        "d: cannot be read: No such file or directory",
    ]


def test_an_unchanged_list_is_the_same_object(tmp_path: Path) -> None:
    write(tmp_path, a="2/1", b="x")
    lists = files(tmp_path, "*.txt", "c.txt")

    first = lists.read()
    os.utime(tmp_path / "a.txt", ns=(SECOND_NS, SECOND_NS))

    assert lists.read() is first


def test_a_changed_file_alone_is_parsed_again(tmp_path: Path) -> None:
    write(tmp_path, a="2/1", b="2/2")
    lists = files(tmp_path, "*.txt")
    before = lists.read()

    write(tmp_path, b="2/2\n2/3")
    after = lists.read()

    assert numbers(after) == [1, 2, 3]
    first = numbers(before).index(1)
    assert [*after.watches.values()][first] is [*before.watches.values()][first]


def test_a_file_of_the_same_size_and_time_is_read_again_after_a_rename(
    tmp_path: Path,
) -> None:
    write(tmp_path, a="2/1", b="2/2")
    lists = files(tmp_path, "a.txt")
    lists.read()

    for name in ("a.txt", "b.txt"):
        os.utime(tmp_path / name, ns=(SECOND_NS, SECOND_NS))
    (tmp_path / "b.txt").rename(tmp_path / "a.txt")

    assert numbers(lists.read()) == [2]


def test_a_deleted_file_ends_its_watches(tmp_path: Path) -> None:
    write(tmp_path, a="2/1", b="2/2", c="2/3")
    lists = files(tmp_path, "a.txt", "[bc].txt")
    lists.read()

    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.txt").unlink()
    found = lists.read()

    assert numbers(found) == [3]
    assert faults(found) == ["a.txt: cannot be read: No such file or directory"]


def test_an_unreadable_file_keeps_its_last_good_content(tmp_path: Path) -> None:
    write(tmp_path, a="2/1", b="2/2")
    lists = files(tmp_path, "a.txt", "b*")
    lists.read()

    spoil(tmp_path / "a.txt")
    spoil(tmp_path / "b.txt")
    found = lists.read()

    assert numbers(found) == [1, 2]
    assert faults(found) == [
        f"a.txt: cannot be read: {UNREADABLE}; its last good content is kept",
        f"b.txt: cannot be read: {UNREADABLE}; its last good content is kept",
    ]
    assert lists.read() is found


def test_a_file_that_becomes_readable_again_is_read(tmp_path: Path) -> None:
    write(tmp_path, a="2/1")
    lists = files(tmp_path, "a.txt")
    lists.read()
    spoil(tmp_path / "a.txt")
    lists.read()

    (tmp_path / "a.txt").unlink()
    write(tmp_path, a="2/2")
    found = lists.read()

    assert (numbers(found), faults(found)) == ([2], [])


def test_a_directory_or_a_pipe_in_the_place_of_a_file_is_unreadable(
    tmp_path: Path,
) -> None:
    write(tmp_path, a="2/1", b="2/2")
    lists = files(tmp_path, "*.txt")
    lists.read()

    (tmp_path / "a.txt").unlink()
    (tmp_path / "a.txt").mkdir()
    (tmp_path / "b.txt").unlink()
    os.mkfifo(tmp_path / "b.txt")
    found = lists.read()

    assert numbers(found) == [1, 2]
    assert faults(found) == [
        "a.txt: cannot be read: Is a directory; its last good content is kept",
        "b.txt: cannot be read: not a regular file; its last good content is kept",
    ]


@pytest.mark.parametrize("pattern", ["d", "d/*.txt"])
def test_a_directory_that_cannot_be_seen_ends_nothing(
    tmp_path: Path, pattern: str
) -> None:
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", a="2/1")
    lists = files(tmp_path, pattern)
    lists.read()

    (tmp_path / "d").rename(tmp_path / "aside")
    (tmp_path / "d").symlink_to("d")
    found = lists.read()

    assert numbers(found) == [1]
    assert (
        f"d/a.txt: cannot be read: {UNREADABLE}; its last good content is kept"
    ) in faults(found)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("locked", ["d", "d/a.txt"])
def test_a_denied_permission_ends_nothing(tmp_path: Path, locked: str) -> None:
    (tmp_path / "d").mkdir()
    write(tmp_path / "d", a="2/1")
    lists = files(tmp_path, "d")
    lists.read()

    (tmp_path / locked).chmod(0)
    found = lists.read()
    (tmp_path / locked).chmod(0o700)

    assert numbers(found) == [1]
    assert (
        "d/a.txt: cannot be read: Permission denied; its last good content is kept"
    ) in faults(found)


def test_a_directory_that_cannot_be_listed_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "d").symlink_to("d")

    assert faults(files(tmp_path, "d/*").read()) == [
        f"d/*: cannot be listed: {UNREADABLE}"
    ]


def test_a_document_that_is_half_written_keeps_its_last_good_content(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("watches: [2/1, 2/2]\n")
    lists = files(tmp_path, "a.yaml")
    lists.read()

    path.write_text("watches: [2/1, ")
    found = lists.read()

    assert numbers(found) == [1, 2]
    assert faults(found) == [
        (
            "a.yaml:2:1: while parsing a flow node, did not find expected node content"
            "; its last good content is kept"
        )
    ]


def test_a_bad_entry_does_not_keep_its_last_good_self(tmp_path: Path) -> None:
    write(tmp_path, a="2/1\n2/2")
    lists = files(tmp_path, "a.txt")
    lists.read()

    write(tmp_path, a="2/1\n2/x")
    found = lists.read()

    assert numbers(found) == [1]
    assert faults(found) == ["a.txt:2:1: job id 'x' is not a positive whole number"]


def test_other_settings_read_anew_and_keep_what_cannot_be_read(tmp_path: Path) -> None:
    write(tmp_path, a="2/1\nstag/2/2", b="prod/2/3\nstag/2/4")
    lists = files(tmp_path, "*.txt")
    lists.read()
    spoil(tmp_path / "a.txt")

    again = lists.reconfigured(["[ab].txt"], directory=tmp_path, sources=("stag",))
    found = again.read()

    assert [str(key) for key in found.watches] == ["stag/biz/2/2", "stag/biz/2/4"]
    assert faults(found) == [
        f"a.txt: cannot be read: {UNREADABLE}; its last good content is kept",
        "b.txt:1:1: unknown source 'prod'; configured: stag",
    ]
