"""YAML (and so JSON) as a tree that remembers where each thing stands.

Scalars stay the text that was written: whether ``yes`` or ``1e3`` means something
else is not for YAML to say. Aliases share their node, so that nothing expands;
depth is bounded here because libyaml's own composer overflows the stack.
"""

import codecs
from collections.abc import Iterator
from typing import Any, Final

import yaml
from msgspec import Struct

from monitor.watchlist.reading import Unfit

DEEPEST: Final = 16
MOST_KEYS: Final = 64
"""Of one mapping; an entry may be an alias, and there may be many of it."""

_STRING = "tag:yaml.org,2002:str"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Scalar(Struct, frozen=True, gc=False):
    line: int
    column: int
    text: str | None


class Sequence(Struct, frozen=True, gc=False):
    line: int
    column: int
    items: tuple["Node", ...]


class Mapping(Struct, frozen=True, gc=False):
    line: int
    column: int
    pairs: tuple[tuple["Node", "Node"], ...]


Node = Scalar | Sequence | Mapping


def compose(text: str) -> Node | None:
    """Read one document; raises Unfit, with its place, for what is not YAML."""
    try:
        return _Composer(text).document()
    except yaml.MarkedYAMLError as error:
        problem = ", ".join(filter(None, (error.context, error.problem)))
        mark = error.problem_mark or error.context_mark
        raise _marked(problem, mark) from error
    except yaml.reader.ReaderError as error:
        # libyaml counts bytes.
        before = text.encode()[: error.position].decode()
        character = chr(error.character)
        reason = f"YAML does not allow the character {character!r}"
        raise _unfit_after(before, reason) from error


def fields(node: Node, what: str) -> Iterator[tuple[str, Node, Node]]:
    if isinstance(node, Scalar) and node.text is None:
        return
    if not isinstance(node, Mapping):
        raise unfit(f"{what} must be a mapping: write key: value", node)
    if len(node.pairs) > MOST_KEYS:
        raise unfit(f"more than {MOST_KEYS} keys", node)
    seen: set[str] = set()
    for key, value in node.pairs:
        if not isinstance(key, Scalar) or key.text is None:
            raise unfit("a key is a plain word", key)
        if key.text in seen:
            raise unfit(f"{key.text[:40]!r} is given twice", key)
        seen.add(key.text)
        yield key.text, key, value


def items(node: Node, what: str) -> tuple[Node, ...]:
    if isinstance(node, Scalar) and node.text is None:
        return ()
    if not isinstance(node, Sequence):
        raise unfit(f"{what} must be a list", node)
    return node.items


def text(node: Node, name: str) -> str:
    """Give what was written; nothing is the empty text."""
    if not isinstance(node, Scalar):
        raise unfit(f"{name!r} is a text or a number", node)
    return node.text or ""


def unfit(reason: str, node: Node) -> Unfit:
    return Unfit(reason, line=node.line, column=node.column)


def decoded(content: bytes) -> str:
    # Not "utf-8-sig": its errors count without the three bytes it strips.
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        raise _unfit_after(before, "is not UTF-8") from error


class _Composer:
    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        next(self._events)  # the stream begins
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), DEEPEST)
        next(self._events)  # the document ends
        if not isinstance(after := next(self._events), yaml.StreamEndEvent):
            raise _marked("a second document begins here", after.start_mark)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            # An anchor is known once its node has ended: nothing holds itself.
            if event.anchor not in self._anchors:
                raise _marked("no such anchor before this alias", mark)
            return self._anchors[event.anchor]
        if event.tag not in (None, "!", _STRING):
            raise _marked("tags are not read here", mark)
        if depth == 0:
            raise _marked(f"nested deeper than {DEEPEST}", mark)
        node = self._fresh(event, mark.line + 1, mark.column + 1, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _fresh(self, event: Any, line: int, column: int, depth: int) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            null = event.value in _NULLS and event.implicit[0]
            return Scalar(line, column, None if null else event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(line, column, tuple(self._nodes(depth)))
        nodes = self._nodes(depth)
        return Mapping(line, column, tuple(zip(nodes, nodes, strict=True)))

    def _nodes(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), yaml.CollectionEndEvent):
            yield self._node(event, depth - 1)


def _marked(problem: str, mark: Any) -> Unfit:
    return Unfit(problem, line=mark.line + 1, column=mark.column + 1)


def _unfit_after(before: str, reason: str) -> Unfit:
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Unfit(reason, line=line, column=column)
