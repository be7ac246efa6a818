"""``.txt``: one entry a line, the way a person types it.

``[source/][scope_type/]scope_id/job_instance_id [label=value …] [# comment]``, or
``scope_id job_instance_id``. Quotes keep blanks together as in a shell; a
backslash means something only before a quote or a backslash in double quotes.
"""

import re

from monitor.core import watch
from monitor.core.model import InstanceKey
from monitor.watchlist import entry
from monitor.watchlist.entry import Beside
from monitor.watchlist.reading import Entry, Reading, Unfit

_ENTRY = re.compile(r"\s*([^\s/#]++\s++(?!#)[^\s=]++(?!\S)|\S++)(.*)", re.DOTALL)
_WORD = re.compile(
    r"""\s*+(?:(?P<comment>\#.*)|(?P<word>(?:[^\s"']|"(?:[^"\\]|\\.)*+"|'[^']*+')+)"""
    r"""|(?P<quote>\S))""",
    re.DOTALL,
)
_QUOTED = re.compile(r"""\"((?:[^"\\]|\\.)*+)"|'([^']*+)'""", re.DOTALL)
_ESCAPED = re.compile(r"""\\(["\\])""")


def read(content: bytes, reading: Reading) -> None:
    reading.entries(reading.lines(content), lambda line: read_line(line, reading))


def read_line(line: str, reading: Reading) -> Entry | None:
    found = _ENTRY.match(line)
    if found is None or found[1].startswith("#"):
        return None
    rest = found[2]
    beside = reading.besides.get(rest)
    if beside is None:
        beside = reading.besides[rest] = _beside(line, found.start(2), reading)
    try:
        return _key(found[1], beside, reading), beside
    except ValueError as error:
        raise Unfit(str(error), column=found.start(1) + 1) from error


def _key(text: str, beside: Beside, reading: Reading) -> InstanceKey:
    if "/" not in text:
        text = "/".join(text.split())
    # A key that names no source means the first of them.
    first = beside.source or reading.sources[0]
    key = watch.parse_key(text, sources=(*dict.fromkeys((first, *reading.sources)),))
    if beside.source not in (None, reading.defaults.source, key.source):
        raise ValueError(f"{text[:80]!r} contradicts source={beside.source}")
    return key


def _beside(line: str, start: int, reading: Reading) -> Beside:
    draft = reading.draft()
    for found in _WORD.finditer(line, start):
        if found["comment"]:
            break
        try:
            name, value = _pair(found)
            draft.field(name, value)
        except ValueError as error:
            column = found.start(found.lastgroup or 0) + 1
            raise Unfit(str(error), column=column) from error
    return reading.beside(draft)


def _pair(found: re.Match[str]) -> tuple[str, str]:
    if found["quote"]:
        raise ValueError("a quote is opened here and never closed")
    word: str = found["word"]
    if '"' in word or "'" in word:
        word = _QUOTED.sub(_unquoted, word)
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"{name[:40]!r} is not label=value")
    if name in entry.IDS:
        raise ValueError(f"{name!r} is part of the key: write it there")
    return name, value


def _unquoted(quoted: re.Match[str]) -> str:
    plain: str | None = quoted[2]
    return _ESCAPED.sub(r"\1", quoted[1]) if plain is None else plain
