"""Matchers: which messages somebody means, in Alertmanager's notation.

``severity="critical"``, ``team=~"sre|dba"``, ``!=`` and ``!~``; the value stands in
double quotes or bare, a regex must match all of it, and an absent trait is the
empty string. Regexes are RE2's, as Alertmanager's are: whatever somebody writes, the
time it takes grows with the length of what it looks at, and no faster.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

import re2
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
_REGEX_MEMORY: Final = 256 * 1024
"""Bytes that one regex may need: there may be thousands of them."""


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
    looked_at = value[:VALUE_MAX].encode(errors="replace")
    return bool(_compiled(pattern).fullmatch(looked_at))


# Each alert is held against every silence.
@functools.lru_cache(maxsize=32_768)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.max_mem = _REGEX_MEMORY
    options.log_errors = False  # on stderr, past our log
    return re2.compile(pattern.encode(), options)


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
    try:
        _compiled(pattern)
    except UnicodeEncodeError:
        raise ValueError(f"the regex {shown} is no text") from None
    except re2.error as exc:
        why = exc.args[0].decode(errors="replace")
        raise ValueError(f"the regex {shown} is none of RE2's: {why}") from None
