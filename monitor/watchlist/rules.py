"""A rule of ``discover:``, the way a person writes it; it names no single instance."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from monitor import durations
from monitor.core import discovery
from monitor.core.discovery import LAUNCH_MODES, OLDEST, STATUS_NAMES, TYPES, Rule
from monitor.core.watch import Place
from monitor.watchlist import entry, tree
from monitor.watchlist.entry import Draft
from monitor.watchlist.reading import Reading
from monitor.watchlist.tree import Node, Sequence

LONGEST: Final = 256
MOST: Final = 100_000
SHORTEST: Final = timedelta(seconds=5)

_SCOPE: Final = ("source", "bk_biz_id", "bk_scope_type", "bk_scope_id")
_OPTIONS: Final = ("severity", "settle", "overdue_after", "stalled_after")


def read(node: Node, reading: Reading) -> Rule:
    """Read one rule; its place is for ``reading`` to say."""
    draft = reading.draft()
    said: dict[str, Any] = {}
    for name, key, value in tree.fields(node, "a rule of discover"):
        if name not in _KNOWN:
            raise tree.unfit(entry.unknown_key(name, _KNOWN), key)
        if name == "labels":
            _labels(draft, value)
        elif name == "status":
            said["statuses"] = frozenset(_statuses(value))
        else:
            text = tree.text(value, name).strip()
            take = _WORDS.get(name)
            try:
                if take is None:
                    draft.field(name, text)
                elif text:
                    said[name] = take(text)
            except ValueError as error:
                raise tree.unfit(str(error), value) from error
    return _rule(node, draft, reading, said)


def _rule(node: Node, draft: Draft, reading: Reading, said: dict[str, Any]) -> Rule:
    try:
        source, scope_type, scope_id = draft.scope()
        beside = reading.beside(draft)
    except ValueError as error:
        raise tree.unfit(str(error), node) from error
    return Rule(
        source=source,
        scope_type=scope_type,
        scope_id=scope_id,
        labels=beside.labels,
        options=beside.options,
        place=Place(""),
        **said,
    )


def _labels(draft: Draft, node: Node) -> None:
    for name, _, value in tree.fields(node, "labels"):
        text = tree.text(value, name)
        try:
            draft.label(name, text)
            _check_placeholders(text)
        except ValueError as error:
            raise tree.unfit(str(error), value) from error


def _check_placeholders(text: str) -> None:
    if unknown := discovery.unknown_placeholder(text):
        raise ValueError(_unknown("{" + unknown + "}", _PLACEHOLDERS))


def _statuses(node: Node) -> list[int]:
    nodes = node.items if isinstance(node, Sequence) else (node,)
    return [number for node in nodes for number in _status(node)]


def _status(node: Node) -> tuple[int, ...]:
    if not (text := tree.text(node, "status").strip()):
        return ()
    number = discovery.status(text)
    if number is None:
        raise tree.unfit(f"status: {_unknown(text, _STATUSES)}", node)
    return (number,)


def _pattern(text: str) -> str:
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    return text


def _word(words: dict[str, int]) -> Callable[[str], int]:
    def read_word(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 10:
            return int(text)
        if text.lower() not in words:
            raise ValueError(_unknown(text, tuple(words)))
        return words[text.lower()]

    return read_word


def _age(text: str) -> timedelta:
    age = durations.parse(text)
    if not timedelta() < age <= OLDEST:
        raise ValueError(f"age {text[:20]!r} is not within 1ms and {OLDEST.days}d")
    return age


def _every(text: str) -> timedelta:
    every = durations.parse(text)
    if every < SHORTEST:
        raise ValueError(f"every {text[:20]!r} is less than {durations.text(SHORTEST)}")
    return every


def _most(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST):
        raise ValueError(f"most {text[:20]!r} is no number from 1 to {MOST}")
    return int(text)


def _unknown(word: str, known: tuple[str, ...]) -> str:
    near = entry.nearest(word[:40], known)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown {word[:40]!r}; {hint}"


_STATUSES: Final = tuple(name for name in STATUS_NAMES if name.isascii())
_PLACEHOLDERS: Final = tuple("{" + name + "}" for name in discovery.PLACEHOLDERS)
_WORDS: Final[dict[str, Callable[[str], Any]]] = {
    "name": _pattern,
    "operator": _pattern,
    "launch_mode": _word(LAUNCH_MODES),
    "type": _word(TYPES),
    "age": _age,
    "every": _every,
    "most": _most,
}
_KNOWN: Final = (*_SCOPE, *_WORDS, "status", "labels", *_OPTIONS)
