"""Jinja2 in a box: a template sees what it is given, and can neither run nor grow on.

Every turn of a loop, every call and every character written is counted. Whatever
could make much of little (multiplied texts, wide ranges, padded formats) is not
there, or is measured.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from types import BuiltinMethodType, MethodType
from typing import Any, Final

import msgspec
from jinja2 import StrictUndefined, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.runtime import LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

TURNS: Final = 20_000
"""Turns of loops and calls of one rendering."""

WRITTEN: Final = 16 << 20
"""Characters of one rendering, those in macros and in discarded blocks included."""

LONGEST: Final = 256 * 1024
"""Of a text, or a list, at any moment."""

RANGE: Final = 1000

Escape = Callable[[Any], str]


class TooMuch(SecurityError):
    """The template does more than one may."""


class Budget:
    """*size* is that of the template: what one turn may write of its own text."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._turns = TURNS
        self._written = WRITTEN

    def turn(self) -> None:
        self._turns -= 1
        if self._turns < 0:
            raise TooMuch(f"it takes more than {TURNS} turns")
        self.write(self._size)

    def write(self, count: int) -> None:
        self._written -= count
        if self._written < 0:
            raise TooMuch("it writes too much")


budget: Final[ContextVar[Budget]] = ContextVar("budget")


class Box(ImmutableSandboxedEnvironment):
    """*escape* is applied to whatever a template writes, unless it is ``Markup``."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, escape: Escape | None, **filters: Callable[..., Any]) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=escape is not None,
            finalize=pass_context(_writer(escape)),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            optimized=False,
            cache_size=0,
        )
        self.globals = {"range": _range}
        known = {name: self.filters[name] for name in _FILTERS}
        self.filters = {**known, **_OURS, **filters}

    def compiled(self, source: str, name: str) -> Any:
        """Make a template; TemplateSyntaxError for what is none."""
        tree = _Bounding().visit(self.parse(source, name))
        code = self.compile(tree, name, name)
        return self.template_class.from_code(self, code, self.make_globals(None))

    def call(self, context: Any, called: Any, /, *args: Any, **named: Any) -> Any:
        budget.get().turn()
        return measured(super().call(context, called, *args, **named))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+":
            if isinstance(left, Sequence) and isinstance(right, Sequence):
                _check(len(left) + len(right))
        elif not _small(operator, left, right):
            raise TooMuch(f"{operator} takes small numbers only")
        return super().call_binop(context, operator, left, right)

    def is_safe_callable(self, obj: Any) -> bool:
        if obj is _range or isinstance(obj, Macro):
            return True
        if not isinstance(obj, MethodType | BuiltinMethodType):
            return False
        owner = obj.__self__
        known = next((n for kind, n in _METHODS if isinstance(owner, kind)), ())
        return obj.__name__ in known


_METHODS: Final[Sequence[tuple[Any, Sequence[str]]]] = (
    (LoopContext, ("cycle", "changed")),
    (Mapping, ("get", "items", "keys", "values")),
    (
        str,
        (
            *("startswith", "endswith", "removeprefix", "removesuffix"),
            *("split", "splitlines", "strip", "lstrip", "rstrip", "lower", "upper"),
        ),
    ),
)

_FILTERS: Final = (
    *("abs", "capitalize", "count", "default", "dictsort", "first", "float"),
    *("groupby", "int", "items", "last", "length", "list", "lower", "map", "max"),
    *("min", "reject", "rejectattr", "reverse", "round", "select", "selectattr"),
    *("sort", "string", "striptags", "sum", "title", "trim", "truncate", "unique"),
    *("upper", "urlencode", "wordcount"),
)


class _Bounding(NodeTransformer):
    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja's name
        if node.recursive:
            raise TemplateSyntaxError("loops must not be recursive", node.lineno)
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        self.generic_visit(node)
        return _filtered(node, "measured")

    def generic_visit(self, node: nodes.Node, *args: Any, **named: Any) -> nodes.Node:
        if isinstance(node, _OUTSIDE):
            raise TemplateSyntaxError("there are no other templates", node.lineno)
        return super().generic_visit(node, *args, **named)


_OUTSIDE: Final = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _writer(escape: Escape | None) -> Callable[[Any, Any], Any]:
    def written(_context: Any, value: Any) -> Any:
        if isinstance(value, Undefined):
            str(value)  # raises, with the name
        if isinstance(value, Markup) and escape is not None:
            text: str = value
        else:
            text = str(value) if escape is None else Markup(escape(value))  # noqa: S704
        budget.get().write(len(text))
        return text

    return written


def counted(values: Iterable[Any]) -> Iterator[Any]:
    spent = budget.get()
    for value in values:
        spent.turn()
        yield value


def measured(value: Any) -> Any:
    if isinstance(value, str | list | tuple):
        _check(len(value))
    return value


def _check(length: int) -> None:
    if length > LONGEST:
        raise TooMuch(f"a text or a list is longer than {LONGEST}")


def _small(operator: str, left: Any, right: Any) -> bool:
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        return False
    if operator == "**":
        return abs(left) <= 1000 and abs(right) <= 20
    return abs(left) < 1 << 64 and abs(right) < 1 << 64


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > RANGE:
        raise TooMuch(f"a range is longer than {RANGE}")
    return found


def _join(values: Iterable[Any], between: str = "", attribute: str = "") -> str:
    """Join as Jinja does; the text between is short, so that it cannot blow up."""
    _check(len(between) * 1000)
    texts = (_got(value, attribute) if attribute else value for value in values)
    found = [str(text) for text in counted(texts)]
    _check(sum(map(len, found)) + len(between) * len(found))
    return between.join(found)


def _got(value: Any, name: str) -> Any:
    return value[name] if isinstance(value, Mapping) else ""


def _tojson(value: Any) -> Markup:
    """Write JSON that can stand in a JSON document, and in a script of a page too."""
    # Only what is not there is no JSON, and its text says so by raising.
    text = msgspec.json.encode(value, enc_hook=str).decode()
    for special in "<>&'":
        text = text.replace(special, f"\\u{ord(special):04x}")
    _check(len(text))
    return Markup(text)  # noqa: S704


_OURS: Final[Mapping[str, Callable[..., Any]]] = {
    "counted": counted,
    "join": _join,
    "measured": measured,
    "tojson": _tojson,
}
