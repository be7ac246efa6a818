"""``.yaml``, ``.yml``, ``.json``: ``defaults:``, ``watches:`` and ``discover:``.

An entry is a text, written like a line of ``.txt``, or a mapping with JOB's field
names. Broken defaults spoil the file and not only themselves: without its label an
alert would go to the wrong people, without its source to the wrong JOB.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from monitor.watchlist import entry, lines, tree
from monitor.watchlist.entry import Beside, Draft
from monitor.watchlist.reading import Entry, Reading, Unfit
from monitor.watchlist.tree import Mapping, Node, Scalar, Sequence

_TOP: Final = ("defaults", "watches", "discover")
_DEFAULTS: Final = ("labels", *entry.OPTIONS)
_ENTRY: Final = (*entry.IDS, *_DEFAULTS)
_MOST_KEYS: Final = 64
"""Of one mapping; an entry may be an alias, and there may be many of it."""

_PAIR = re.compile(
    r"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def read(content: bytes, reading: Reading) -> None:
    _read(tree.decoded(content), reading)


def read_json(content: bytes, reading: Reading) -> None:
    """Read JSON, which is YAML but for characters escaped as surrogate pairs."""
    _read(_PAIR.sub(_joined, tree.decoded(content)), reading)


def _read(text: str, reading: Reading) -> None:
    root = tree.compose(text)
    if root is None or (isinstance(root, Scalar) and root.text is None):
        return
    top = _top(root, reading)
    if "defaults" in top:
        reading.defaults = _defaults(top["defaults"], reading)
    if "discover" in top:
        _check_discovery(top["discover"])
    for node in _items(top["watches"], "watches") if "watches" in top else ():
        try:
            reading.add(*_entry(node, reading), node.line, node.column)
        except ValueError as error:
            reading.fault(error, node.line, node.column)


def _top(root: Node, reading: Reading) -> dict[str, Node]:
    top: dict[str, Node] = {}
    for name, key, value in _fields(root, "the document"):
        if name in _TOP:
            top[name] = value
        else:
            reading.fault(entry.unknown_key(name, _TOP), key.line, key.column)
    if not top:
        raise _unfit("the document has no 'watches:'", root)
    return top


def _defaults(node: Node, reading: Reading) -> Beside:
    draft = reading.draft()
    _take(draft, node, _DEFAULTS, "defaults")
    try:
        return reading.beside(draft)
    except ValueError as error:
        raise _unfit(str(error), node) from error


def _check_discovery(node: Node) -> None:
    for rule in _items(node, "discover"):
        if not isinstance(rule, Mapping):
            raise _unfit("a rule of discover is a mapping", rule)


def _entry(node: Node, reading: Reading) -> Entry:
    if isinstance(node, Scalar):
        return _line(node, reading)
    draft = reading.draft()
    _take(draft, node, _ENTRY, "an entry")
    return draft.key(), reading.beside(draft)


def _line(node: Scalar, reading: Reading) -> Entry:
    try:
        found = lines.read_line(node.text or "", reading)
    except ValueError as error:
        # Its column counts within the text; quotes and folding hide where that is.
        raise _unfit(str(error), node) from error
    if found is None:
        raise _unfit("the entry is empty", node)
    return found


def _take(draft: Draft, node: Node, known: tuple[str, ...], what: str) -> None:
    for name, key, value in _fields(node, what):
        if name not in known:
            raise _unfit(entry.unknown_key(name, known), key)
        if name == "labels":
            for label, _, text in _fields(value, "labels"):
                _take_scalar(draft.label, label, text)
        else:
            _take_scalar(draft.field, name, value)


def _take_scalar(take: Callable[[str, str], None], name: str, node: Node) -> None:
    if not isinstance(node, Scalar):
        raise _unfit(f"{name!r} is a text or a number", node)
    try:
        take(name, node.text or "")
    except ValueError as error:
        raise _unfit(str(error), node) from error


def _fields(node: Node, what: str) -> Iterator[tuple[str, Node, Node]]:
    if isinstance(node, Scalar) and node.text is None:
        return
    if not isinstance(node, Mapping):
        raise _unfit(f"{what} must be a mapping: write key: value", node)
    if len(node.pairs) > _MOST_KEYS:
        raise _unfit(f"more than {_MOST_KEYS} keys", node)
    seen: set[str] = set()
    for key, value in node.pairs:
        if not isinstance(key, Scalar) or key.text is None:
            raise _unfit("a key is a plain word", key)
        if key.text in seen:
            raise _unfit(f"{key.text[:40]!r} is given twice", key)
        seen.add(key.text)
        yield key.text, key, value


def _items(node: Node, what: str) -> tuple[Node, ...]:
    if isinstance(node, Scalar) and node.text is None:
        return ()
    if not isinstance(node, Sequence):
        raise _unfit(f"{what} must be a list", node)
    return node.items


def _joined(escaped: re.Match[str]) -> str:
    if escaped[1] is None:
        return escaped[0]
    pair = bytes.fromhex(escaped[1] + escaped[2])
    return pair.decode("utf-16-be")


def _unfit(reason: str, node: Node) -> Unfit:
    return Unfit(reason, line=node.line, column=node.column)
