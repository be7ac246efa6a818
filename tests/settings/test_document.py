from pathlib import Path

import pytest

from monitor import errors
from monitor.core.watch import Place
from monitor.settings import document

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

REFUSED = {
    "a list": ("- a\n", "f:1:1: must be a mapping of keys to values"),
    "a bomb of aliases": (BOMB, "too much, or nested too deeply"),
    "a bomb of merges": (MERGE_BOMB, "too much, or nested too deeply"),
    "an alias to itself": ("a: &a [*a]\n", "f:1:4: too much, or nested too deeply"),
    "a merge of itself": ("a: &a {<<: *a}\n", "f:1:4: too much, or nested too deeply"),
    "deep nesting": ("a: " + "[" * 100, "f:1:104: "),
    "very deep nesting": ("a: " + "[" * 100_000, "f: is nested too deeply"),
    "two documents": ("a: 1\n---\nb: 2\n", "f:2:1: but found another document"),
    "a secret like an alias": (
        "secret: *canary\n",
        "f:1:9: no such alias; quote text that begins with *",
    ),
    "a secret like a mapping": (
        "secret: canary: x\n",
        "f:1:15: mapping values are not allowed here",
    ),
    "a secret like a directive": ("secret: %canary\n", "f:1:9: "),
    "a tab": ("a:\n\tb: 1\n", "f:2:1: found character '\\t' that cannot start"),
    "no text": ("a: \xff".encode("latin-1"), "f: is not UTF-8 text"),
    "an unprintable character": ("a: \x01\n", "f: holds the character #x0001"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_configuration_is_refused_in_a_line(
    text: str | bytes, reason: str
) -> None:
    content = text if isinstance(text, bytes) else text.encode()

    with pytest.raises(errors.Misconfigured) as caught:
        document.parse(content, "f")

    [fault] = caught.value.faults
    assert reason in fault
    assert "canary" not in fault
    assert caught.value.__context__ is None


def test_a_tag_is_a_fault_and_its_text_is_not_shown() -> None:
    found = document.parse(b"a: !canary b\n", "f")

    assert found.faults == (
        "f:1:4: tags are not understood here; quote text that begins with !",
    )


def test_every_key_and_item_has_a_place() -> None:
    found = document.parse(b"a:\n  b: 1\n  c: [x, {d: 2}]\n", "f")

    assert found.data == {"a": {"b": 1, "c": ["x", {"d": 2}]}}
    assert found.places == {
        (): Place("f"),
        ("a",): Place("f", 1, 1),
        ("a", "b"): Place("f", 2, 3),
        ("a", "c"): Place("f", 3, 3),
        ("a", "c", 0): Place("f", 3, 7),
        ("a", "c", 1): Place("f", 3, 10),
        ("a", "c", 1, "d"): Place("f", 3, 11),
    }


def test_of_merged_mappings_the_first_wins_and_the_own_keys_win_over_all() -> None:
    text = b"a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n"

    assert document.parse(text, "f").data["c"] == {"x": 1, "y": 3, "z": 2}


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_bytes(b"#" * (document.SIZE_MAX + 1))

    with pytest.raises(errors.Misconfigured, match="is larger than 1 MiB"):
        document.read(path)
