"""In which words people are told what a setting takes, and what its default is."""

from collections.abc import Iterator, Mapping
from datetime import datetime, time, timedelta, tzinfo
from enum import Enum
from ipaddress import IPv4Network
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from monitor import durations
from monitor.settings import notation, quiet, routes, stores, templates
from monitor.sinks import notation as of_sinks
from monitor.sizes import Size

_NAMED: Final = (
    (notation.Positive, "duration, more than 0s"),
    (of_sinks.Timeout, "duration, up to 10m"),
    (notation.Url, "address, `http://` or `https://`"),
    (of_sinks.Url, "address, `http://` or `https://`, kept secret"),
    (stores.StoreUrl, "`sqlite:///` and a path, or `postgresql://`"),
    (routes.MatcherText, "matcher"),
    (routes.GroupBy, "`instance`, `plan`, or list of labels"),
    (quiet.Zone, "time zone like `Asia/Shanghai`"),
    (templates.ContentType, "content type"),
)
"""Types that say more than what they are made of; the narrower ones first."""

_PLAIN: Final[Mapping[Any, str]] = {
    bool: "`true` or `false`",
    datetime: "moment like `2026-12-01T08:00+08:00`",
    float: "number",
    int: "whole number",
    IPv4Network: "network like `10.0.0.0/8`",
    notation.Listen: "`host:port`",
    Path: "path",
    SecretStr: "text, kept secret",
    Size: "size",
    str: "text",
    time: "time of day like `22:00`",
    timedelta: "duration",
    tzinfo: "offset like `+08:00`",
}


def words(hint: Any) -> str:
    """Say what a field of this type takes."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated(inside[0], inside[1:])
    if origin in (Union, UnionType):
        return words(next(each for each in inside if each is not NoneType))
    if origin is Literal:
        return _choice(map(str, inside))
    if origin is tuple:
        return f"list of {_many(words(inside[0]))}"
    if origin is not None:
        return f"mapping of names to {_many(words(inside[1]))}"
    return _simple(hint)


def _simple(kind: Any) -> str:
    if kind is Any:
        return "anything"
    if issubclass(kind, Enum):
        return _choice(str(each.value) for each in kind)
    if issubclass(kind, BaseModel):
        return "section, as this one"
    return _PLAIN[kind]


def _annotated(kind: Any, marks: tuple[Any, ...]) -> str:
    for alias, said in _NAMED:
        if all(mark in marks for mark in get_args(alias)[1:]):
            return said
    limits = [
        limit
        for mark in marks
        if isinstance(mark, FieldInfo)
        for limit in _limits(mark)
    ]
    return ", ".join([words(kind), *(limits if kind in (int, float) else ())])


def _limits(field: FieldInfo) -> Iterator[str]:
    said = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for limit in field.metadata:
        for name, relation in said.items():
            if hasattr(limit, name):
                yield f"{relation} {getattr(limit, name):,}"


def _choice(values: Iterator[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _many(said: str) -> str:
    first = said.partition(" ")[0].rstrip(",")
    if first.startswith("`") or first == "anything":
        return said
    return first + ("es" if first.endswith("s") else "s") + said.removeprefix(first)


def written(default: object) -> str:
    """Write a default as it would stand in the file."""
    text = _yaml(default)
    return f"`{text}`" if text else "empty"


def _yaml(value: object) -> str:
    match value:
        case tuple():
            return f"[{', '.join(map(_yaml, value))}]"
        case dict() if not value:
            return "{}"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case _:
            return _quantity(value)


def _quantity(value: object) -> str:
    match value:
        case timedelta():
            return durations.text(value)
        case tzinfo():
            return notation.offset_text(value)
        case time():
            return value.isoformat("minutes")
        case _:
            return str(value)


def prose(text: str | None) -> str:
    """Put a text of the code on one line of Markdown."""
    return " ".join((text or "").replace("``", "`").replace("|", "\\|").split())
