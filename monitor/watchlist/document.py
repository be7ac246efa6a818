"""``.yaml``, ``.yml``, ``.json``: ``defaults:``, ``watches:`` and ``discover:``.

An entry is a text, written like a line of ``.txt``, or a mapping with JOB's field
names. Broken defaults spoil the file and not only themselves: without its label an
alert would go to the wrong people, without its source to the wrong JOB.
"""

import re
from collections.abc import Callable
from typing import Final

from monitor.watchlist import entry, lines, rules, tree
from monitor.watchlist.entry import Beside, Draft
from monitor.watchlist.reading import Entry, Reading
from monitor.watchlist.tree import Node, Scalar

_TOP: Final = ("defaults", "watches", "discover")
_DEFAULTS: Final = ("labels", *entry.OPTIONS)
_ENTRY: Final = (*entry.IDS, *_DEFAULTS)

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
        _discovery(top["discover"], reading)
    for node in tree.items(top["watches"], "watches") if "watches" in top else ():
        try:
            reading.add(*_entry(node, reading), node.line, node.column)
        except ValueError as error:
            reading.fault(error, node.line, node.column)


def _top(root: Node, reading: Reading) -> dict[str, Node]:
    top: dict[str, Node] = {}
    for name, key, value in tree.fields(root, "the document"):
        if name in _TOP:
            top[name] = value
        else:
            reading.fault(entry.unknown_key(name, _TOP), key.line, key.column)
    if not top:
        raise tree.unfit("the document has no 'watches:'", root)
    return top


def _defaults(node: Node, reading: Reading) -> Beside:
    draft = reading.draft()
    _take(draft, node, _DEFAULTS, "defaults")
    try:
        return reading.beside(draft)
    except ValueError as error:
        raise tree.unfit(str(error), node) from error


def _discovery(node: Node, reading: Reading) -> None:
    for rule in tree.items(node, "discover"):
        try:
            reading.add_rule(rules.read(rule, reading), rule.line, rule.column)
        except ValueError as error:
            reading.fault(error, rule.line, rule.column)


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
        raise tree.unfit(str(error), node) from error
    if found is None:
        raise tree.unfit("the entry is empty", node)
    return found


def _take(draft: Draft, node: Node, known: tuple[str, ...], what: str) -> None:
    for name, key, value in tree.fields(node, what):
        if name not in known:
            raise tree.unfit(entry.unknown_key(name, known), key)
        if name == "labels":
            for label, _, text in tree.fields(value, "labels"):
                _take_scalar(draft.label, label, text)
        else:
            _take_scalar(draft.field, name, value)


def _take_scalar(take: Callable[[str, str], None], name: str, node: Node) -> None:
    text = tree.text(node, name)
    try:
        take(name, text)
    except ValueError as error:
        raise tree.unfit(str(error), node) from error


def _joined(escaped: re.Match[str]) -> str:
    if escaped[1] is None:
        return escaped[0]
    pair = bytes.fromhex(escaped[1] + escaped[2])
    return pair.decode("utf-16-be")
