"""What is wrong with a configuration, in lines a person can act on.

``path:line:column: dotted.key: reason`` for files, ``MONITOR_X__Y: reason`` for
variables. A value is shown only where it can be no secret, and never at length.
"""

import difflib
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from monitor import durations, logs
from monitor.core.watch import Place
from monitor.settings.document import Document, Loc, discreet
from monitor.settings.model import Settings

SHOWN: Final = 40

_REASONS: Final = {
    "missing": "is missing",
    "union_tag_not_found": "{discriminator} is missing",
    "union_tag_invalid": "must be one of {expected_tags}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "path_type": "must be a path",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "tuple_type": "must be a list",
    "too_short": "needs at least {min_length}",
    "too_long": "takes at most {max_length}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def lines(error: ValidationError, document: Document) -> Iterator[str]:
    """Name each fault and its place, in the order of the file."""
    found = [_found(details, document) for details in error.errors(include_url=False)]
    for loc, reason in sorted(found, key=lambda each: _order(each[0], document)):
        yield at(loc, reason, document)


def at(loc: Loc, reason: str, document: Document) -> str:
    """Word one fault of the value at *loc*."""
    end, place = _place(loc, document)
    # A variable's name says the way to its value, a line of a file does not.
    named = loc[end:] if place.line is None else loc
    return ": ".join(filter(None, (str(place), ".".join(map(str, named)), reason)))


def _place(loc: Loc, document: Document) -> tuple[int, Place]:
    """Find the nearest thing that can be pointed at, and how far it leads."""
    end = next(n for n in range(len(loc), -1, -1) if loc[:n] in document.places)
    return end, document.places[loc[:end]]


def _order(loc: Loc, document: Document) -> tuple[bool, int, int]:
    _, place = _place(loc, document)
    return place.line is None, place.line or 0, place.column or 0


def nearest(name: str, known: Collection[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _found(details: ErrorDetails, document: Document) -> tuple[Loc, str]:
    loc = _written(details, document.data)
    match details["type"]:
        case "extra_forbidden":
            return loc, _unknown(str(loc[-1]), details["loc"][:-1])
        case "union_tag_invalid":
            return (*loc, "kind"), _reason(details, loc)
        case _:
            return loc, _reason(details, loc)


def _unknown(name: str, above: Loc) -> str:
    near = nearest(name, _keys(above))
    hint = f"; did you mean {near!r}?" if near else ""
    return f"unknown key {name[:SHOWN]!r}{hint}"


def _written(details: ErrorDetails, data: Any) -> Loc:
    """Leave out what pydantic puts between keys: the tags of unions, ``[key]``."""
    loc: Loc = ()
    for item in details["loc"]:
        named = isinstance(data, Mapping) and item in data
        if named or (isinstance(data, list) and isinstance(item, int)):
            loc, data = (*loc, item), data[item]
    return (*loc, details["loc"][-1]) if details["type"] == "missing" else loc


def _reason(details: ErrorDetails, loc: Loc) -> str:
    context = {key: _said(value) for key, value in details.get("ctx", {}).items()}
    given = details["input"]
    if details["type"] == "value_error":
        return discreet(context["error"]) if _secret(loc) else context["error"]
    reason = details["msg"][:1].lower() + details["msg"][1:]
    if details["type"] in _REASONS:
        reason = _REASONS[details["type"]].format_map(context)
    return reason + (f", not {given!r}" if _fit_to_show(loc, details) else "")


def _said(value: object) -> str:
    return durations.text(value) if isinstance(value, timedelta) else str(value)


def _fit_to_show(loc: Loc, details: ErrorDetails) -> bool:
    """Not what a sink is given, nor what stands where only groups belong.

    A plugin may keep a secret anywhere, and a secret may have slipped a level.
    """
    given, kind = details["input"], details["type"]
    scalar = isinstance(given, str | int | float) and len(str(given)) <= SHOWN
    known = kind in _REASONS and kind not in _GROUPS
    return scalar and known and not _secret(loc) and loc[:1] != ("sinks",)


_GROUPS: Final = {"missing", "dict_type", "model_type", "tuple_type"}


def _secret(loc: Loc) -> bool:
    """Addresses count as well: people put passwords into them."""
    names = [item for item in loc if isinstance(item, str)]
    return any(map(logs.looks_secret, names)) or bool(_ADDRESSES & set(names))


_ADDRESSES: Final = {"url", "web_url", "proxy", "store"}


def _keys(above: Loc) -> list[str]:
    """List the keys that the group at *above*, in pydantic's words, may have."""
    groups: list[type[BaseModel]] = [Settings]
    for item in above:
        # The name of a source and the number of a sink lead no deeper.
        groups = [g for each in groups for g in _below(each, item)] or groups
    fields = [item for group in groups for item in group.model_fields.items()]
    return [field.alias or name for name, field in fields]


def _below(group: type[BaseModel], item: str | int) -> Iterator[type[BaseModel]]:
    fields = group.model_fields
    if "kind" in fields and item in get_args(fields["kind"].annotation):
        yield group
    elif item in fields:
        yield from _groups(fields[str(item)].annotation)


def _groups(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in get_args(kind):
        yield from _groups(inner)
