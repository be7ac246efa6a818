"""Matchers: which messages somebody means, in Alertmanager's notation.

``severity="critical"``, ``team=~"sre|dba"``, ``!=`` and ``!~``; the value stands in
double quotes or bare, a regex must match all of it, and an absent trait is the
empty string. Regexes are Python's, which backtrack: their length and that of
what they look at are bounded, and repetition inside repetition is refused.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

TEXT_MAX: Final = 512
PATTERN_MAX: Final = 256
VALUE_MAX: Final = 256

_MATCHER: Final = re.compile(
    r"""\s*(?P<trait>[^\s=!~"'{},]+)\s*(?P<op>=~|!~|!=|=)\s*"""
    r"""(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^\s"'=!~][^\s"]*)?))\s*""",
    re.DOTALL,
)
_HOW: Final = 'write name="value", name!="value", name=~"regex" or name!~"regex"'
_ATOM: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)
_INNERMOST: Final = re.compile(r"\(([^()]*)\)([*+]?)")


class Op(StrEnum):
    EQUAL = "="
    UNEQUAL = "!="
    MATCHES = "=~"
    DIFFERS = "!~"


class Matcher(Struct, frozen=True):
    trait: str
    op: Op
    value: str

    def __str__(self) -> str:
        escaped = self.value.replace("\\", r"\\").replace('"', r"\"")
        value = escaped.replace("\n", r"\n")
        return f'{self.trait}{self.op}"{value}"'

    def matches(self, traits: Mapping[str, str]) -> bool:
        """Look at one trait; a regex sees its first 256 characters."""
        found = traits.get(self.trait, "")
        match self.op:
            case Op.EQUAL:
                return found == self.value
            case Op.UNEQUAL:
                return found != self.value
            case Op.MATCHES:
                return _fits(self.value, found)
            case Op.DIFFERS:
                return not _fits(self.value, found)


def _fits(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value[:VALUE_MAX]) is not None


# Each alert is held against every silence, and ``re`` itself remembers 512 patterns.
@functools.lru_cache(maxsize=32_768)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def parse(text: str) -> Matcher:
    r"""Read one matcher; ValueError says what is wrong and what to write.

    Inside quotes ``\"``, ``\\`` and ``\n`` are escapes and any other backslash is
    itself, so that a regex may be written as it is.

    >>> str(parse("team =~ sre|dba"))
    'team=~"sre|dba"'
    """
    found = _MATCHER.fullmatch(text) if len(text) <= TEXT_MAX else None
    if found is None:
        raise ValueError(f"{text[:80]!r} is no matcher: {_HOW}")

    quoted = found["quoted"]
    value = found["bare"] if quoted is None else _unescaped(quoted)
    matcher = Matcher(found["trait"], Op(found["op"]), value)
    if matcher.op in (Op.MATCHES, Op.DIFFERS):
        _check_regex(value)
    return matcher


def all_match(matchers: Iterable[Matcher], traits: Mapping[str, str]) -> bool:
    """Tell whether every matcher matches; none at all means everything."""
    return all(matcher.matches(traits) for matcher in matchers)


def unfit(matchers: Iterable[Matcher], traits: Mapping[str, str]) -> str:
    """Name the first matcher that does not match; empty where all do."""
    return next((str(each) for each in matchers if not each.matches(traits)), "")


def _unescaped(quoted: str) -> str:
    return re.sub(r'\\(["\\n])', lambda m: "\n" if m[1] == "n" else m[1], quoted)


def _check_regex(pattern: str) -> None:
    shown = repr(pattern[:80])
    if len(pattern) > PATTERN_MAX:
        raise ValueError(f"the regex {shown}… is longer than {PATTERN_MAX} characters")
    if _repeats_a_repetition(pattern):
        raise ValueError(
            f"the regex {shown} repeats a group that repeats, which may take for "
            "ever on some values: write it without the inner or the outer repetition"
        )
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"the regex {shown} is broken: {exc}") from None


def _repeats_a_repetition(pattern: str) -> bool:
    """Find what backtracking makes exponential, like ``(a+)+``."""
    text = re.sub(r"\{\d*,\}", "*", _ATOM.sub("x", pattern))
    while group := _INNERMOST.search(text):
        repeats = "*" in group[1] or "+" in group[1]
        if repeats and group[2]:
            return True
        atom = "x*" if repeats else "x"
        text = f"{text[: group.start()]}{atom}{group[2]}{text[group.end() :]}"
    return False
