"""YAML (and so JSON) as a tree that remembers where each thing stands.

Scalars stay the text that was written: whether ``yes`` or ``1e3`` means something
else is not for YAML to say. Aliases share their node, so that nothing expands;
depth is bounded here because libyaml's own composer overflows the stack.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from msgspec import Struct

from monitor.watchlist.parsed import Unfit

DEEPEST: Final = 16

_STRING = "tag:yaml.org,2002:str"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
# Source: YAML 1.1, section 5.1 (c-printable).
_UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


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
        raise _unfit(problem, mark) from error
    except yaml.YAMLError as error:
        raise _unprintable(text) from error


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
            raise _unfit("a second document begins here", after.start_mark)
        return root

    def _node(self, event: Any, depth: int) -> Node:
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag not in (None, "!", _STRING):
            raise _unfit("tags are not read here", mark)
        if depth == 0:
            raise _unfit(f"nested deeper than {DEEPEST}", mark)
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

    def _alias(self, event: Any) -> Node:
        """Find what was anchored; an anchor is known once its node has ended."""
        try:
            return self._anchors[event.anchor]
        except KeyError:
            raise _unfit("no such anchor before this alias", event.start_mark) from None


def _unfit(problem: str, mark: Any) -> Unfit:
    return Unfit(problem, line=mark.line + 1, column=mark.column + 1)


def _unprintable(text: str) -> Unfit:
    if not (found := _UNPRINTABLE.search(text)):
        return Unfit("holds a character that YAML does not allow")
    before = text[: found.start()]
    return Unfit(
        f"YAML does not allow the character {found[0]!r}",
        line=before.count("\n") + 1,
        column=found.start() - before.rfind("\n"),
    )
