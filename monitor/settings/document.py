"""Configuration as it is written: values, and where each of them stands.

YAML is read node by node, with neither tags nor surprises: a plain scalar is a
number only if it prints the same way again, so that a secret 0123 and an offset
+08:00 stay what they are, and ``on`` is text until a key says it is a switch.
Size, depth and the growth of aliases are bounded.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from msgspec import Struct
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from monitor import errors
from monitor.core.watch import Place

Loc = tuple[str | int, ...]
"""Where a value stands: ``("sinks", 0, "url")``."""

SIZE_MAX: Final = 1 << 20
NODES_MAX: Final = 50_000
DEPTH_MAX: Final = 32

_NULL: Final = frozenset({"", "~", "null"})
_BOOLS: Final = {"true": True, "false": False}
_INTEGER: Final = re.compile(r"0|-?[1-9]\d{0,17}", re.ASCII)
_DECIMAL: Final = re.compile(r"-?\d{1,9}\.\d{1,6}", re.ASCII)
_QUOTED: Final = re.compile(r"""(['"])(?!<|\\.\1)(?:(?!\1).){2,}\1""", re.DOTALL)
_STR: Final = "tag:yaml.org,2002:str"


class Document(Struct, frozen=True):
    """*places* knows the root, ``()``, and whatever in *data* can be pointed at."""

    data: Mapping[str, Any]
    places: Mapping[Loc, Place]
    faults: tuple[str, ...] = ()

    def under(self, other: "Document") -> "Document":
        """Lay *other* over this: mappings unite, anything else replaces."""
        replaced = set(leaves(other.data))
        kept = {
            loc: place
            for loc, place in self.places.items()
            if not any(loc[:end] in replaced for end in range(1, len(loc) + 1))
        }
        return Document(
            _united(self.data, other.data),
            {**other.places, **kept},
            self.faults + other.faults,
        )


class _Loader(yaml.SafeLoader):
    """Leaves every plain scalar as text."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 - declared so by yaml


def read(path: Path) -> Document:
    """Read a file; Misconfigured if it cannot be read or is no YAML at all."""
    try:
        with path.open("rb") as file:
            content = file.read(SIZE_MAX + 1)
    except OSError as exc:
        raise errors.Misconfigured(f"{path}: cannot be read: {exc.strerror}") from exc
    if len(content) > SIZE_MAX:
        raise errors.Misconfigured(f"{path}: is larger than {SIZE_MAX >> 20} MiB")
    return parse(content, str(path))


def parse(content: bytes, path: str) -> Document:
    reader = _Reader(path)
    root = reader.composed(content)
    data = {} if root is None else reader.value(root, ())
    if not isinstance(data, dict):
        raise errors.Misconfigured(f"{path}:1:1: must be a mapping of keys to values")
    return Document(data, {**reader.places, (): Place(path)}, tuple(reader.faults))


class _Reader:
    def __init__(self, path: str) -> None:
        self.places: dict[Loc, Place] = {}
        self.faults: list[str] = []
        self._path = path
        self._nodes_left = NODES_MAX

    def composed(self, content: bytes) -> Node | None:
        try:
            return yaml.compose(content.decode("utf-8-sig"), Loader=_Loader)
        except UnicodeDecodeError:
            why = f"{self._path}: is not UTF-8 text"
        except yaml.MarkedYAMLError as exc:
            why = f"{self._place(exc.problem_mark)}: {_problem(exc)}"
        except yaml.reader.ReaderError as exc:
            why = f"{self._path}: holds the character #x{exc.character:04x}"
        except RecursionError:
            why = f"{self._path}: is nested too deeply"
        # Outside the handlers: what PyYAML raises holds a piece of the text.
        raise errors.Misconfigured(why)

    def value(self, node: Node, loc: Loc, depth: int = 0) -> Any:
        self._count(node, depth)
        self.places.setdefault(loc, self._place(node.start_mark))
        match node:
            case MappingNode():
                return self._mapping(node, loc, depth)
            case SequenceNode():
                items = enumerate(node.value)
                return [self.value(item, (*loc, i), depth + 1) for i, item in items]
            case ScalarNode():
                return self._scalar(node)
        return None

    def _mapping(self, node: MappingNode, loc: Loc, depth: int) -> dict[str, Any]:
        own: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        seen: dict[str, Place] = {}
        for key, inside in node.value:
            name, place = str(key.value), self._place(key.start_mark)
            if not isinstance(key, ScalarNode):
                self.faults.append(f"{place}: a key must be text")
            elif name == "<<" and key.style is None:
                merged = self._merged(inside, loc, depth + 1) | merged
            elif name in seen:
                first = seen[name].line
                self.faults.append(
                    f"{place}: duplicate key {name!r}; the first is on line {first}"
                )
            else:
                seen[name] = self.places[*loc, name] = place
                own[name] = self.value(inside, (*loc, name), depth + 1)
        return merged | own

    def _merged(self, node: Node, loc: Loc, depth: int) -> dict[str, Any]:
        """Read what ``<<`` names: a mapping, or several, of which the first wins."""
        self._count(node, depth)
        if isinstance(node, MappingNode):
            return self._mapping(node, loc, depth)
        found: dict[str, Any] = {}
        for part in node.value if isinstance(node, SequenceNode) else ():
            found = self._merged(part, loc, depth + 1) | found
        return found

    def _scalar(self, node: ScalarNode) -> Any:
        text = str(node.value)
        if node.tag != _STR:
            self.faults.append(
                f"{self._place(node.start_mark)}: tags are not understood here;"
                " quote text that begins with !"
            )
        return text if node.style else _plain(text)

    def _count(self, node: Node, depth: int) -> None:
        self._nodes_left -= 1
        if self._nodes_left < 0 or depth > DEPTH_MAX:
            place = self._place(node.start_mark)
            raise errors.Misconfigured(f"{place}: too much, or nested too deeply")

    def _place(self, mark: yaml.Mark | None) -> Place:
        if mark is None:
            return Place(self._path)
        return Place(self._path, mark.line + 1, mark.column + 1)


def _plain(text: str) -> str | float | bool | None:
    if text in _NULL:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text) and str(float(text)) == text:
        return float(text)
    return text


def _problem(exc: yaml.MarkedYAMLError) -> str:
    problem = str(exc.problem or exc.context)
    if "alias" in problem:
        return "no such alias; quote text that begins with *"
    return discreet(problem)


def discreet(complaint: str) -> str:
    """Leave out what a library's complaint quotes; a single character may stay."""
    return _QUOTED.sub("…", complaint)


def leaves(value: object, loc: Loc = ()) -> Iterator[Loc]:
    """Name what is no mapping, or an empty one."""
    if isinstance(value, Mapping) and value:
        for key, inside in value.items():
            yield from leaves(inside, (*loc, key))
    else:
        yield loc


def _united(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    united = dict(under)
    for key, value in over.items():
        below = united.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            united[key] = _united(below, value)
        else:
            united[key] = value
    return united
