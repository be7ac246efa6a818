"""The settings as they are in effect: fit to be shown, and to be read again.

Secrets are masked; where a secret comes from a file, the path is shown.
"""

from collections.abc import Iterator
from datetime import time, timedelta, tzinfo
from enum import Enum
from typing import Any

import yaml
from pydantic import SecretStr

from monitor import durations, logs
from monitor.settings import notation, stores
from monitor.settings.model import Settings
from monitor.sizes import Size


def values(settings: Settings) -> dict[str, Any]:
    """Give plain values, such as JSON and YAML know."""
    found = {name: plain(value, name) for name, value in settings.model_dump().items()}
    return found | {"store": stores.shown(settings.store, logs.HIDDEN)}


def text(settings: Settings) -> str:
    """Write them as YAML, in the order of the documentation."""
    return yaml.safe_dump(values(settings), sort_keys=False, allow_unicode=True)


def differences(before: Settings, after: Settings) -> list[str]:
    """Name the keys that are other than before; of a list of named things, which."""
    return list(_differing(before.model_dump(), after.model_dump(), ""))


def _differing(before: object, after: object, name: str) -> Iterator[str]:
    if before == after:
        return
    old, new = by_name(before), by_name(after)
    if old is None or new is None:
        yield name
        return
    for key in dict.fromkeys((*old, *new)):
        inside = f"{name}.{key}" if name else key
        yield from _differing(old.get(key), new.get(key), inside)


def by_name(value: object) -> dict[str, object] | None:
    """Give what is in *value* by its names; None where nothing there has one."""
    match value:
        case dict():
            return {str(key): inside for key, inside in value.items()}
        case tuple() if value and all(_is_named(each) for each in value):
            return {each["name"]: each for each in value}
        case _:
            return None


def _is_named(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str)


def plain(value: object, name: str = "") -> Any:
    """Write *value* as JSON and YAML know it, masked where *name* or itself is secret."""
    match value:
        case None | bool():
            return value
        case dict():
            return {str(key): plain(inside, str(key)) for key, inside in value.items()}
        case tuple() | list():
            return [plain(inside, name) for inside in value]
        case _:
            secret = isinstance(value, SecretStr) or logs.looks_secret(name)
            return logs.HIDDEN if secret else _written(value)


def _written(value: object) -> str | float:
    match value:
        case timedelta():
            return durations.text(value)
        case tzinfo():
            return notation.offset_text(value)
        case time():
            return value.isoformat("minutes")
        case Size() | Enum():
            return str(value)
        case int() | float() | str():
            return value
        case _:
            return str(value)
