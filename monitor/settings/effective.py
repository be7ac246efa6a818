"""The settings as they are in effect: fit to be shown, and to be read again.

Secrets are masked; where a secret comes from a file, the path is shown.
"""

from datetime import timedelta, tzinfo
from enum import Enum
from typing import Any

import yaml
from pydantic import SecretStr

from monitor import durations, logs
from monitor.settings import notation
from monitor.settings.model import Settings


def values(settings: Settings) -> dict[str, Any]:
    """Give plain values, such as JSON and YAML know."""
    return {name: _plain(value, name) for name, value in settings.model_dump().items()}


def text(settings: Settings) -> str:
    """Write them as YAML, in the order of the documentation."""
    return yaml.safe_dump(values(settings), sort_keys=False, allow_unicode=True)


def _plain(value: object, name: str = "") -> Any:
    match value:
        case None | bool():
            return value
        case dict():
            return {str(key): _plain(inside, str(key)) for key, inside in value.items()}
        case tuple() | list():
            return [_plain(inside, name) for inside in value]
        case _:
            secret = isinstance(value, SecretStr) or logs.looks_secret(name)
            return logs.HIDDEN if secret else _written(value)


def _written(value: object) -> str | float:
    match value:
        case timedelta():
            return durations.text(value)
        case tzinfo():
            return notation.offset_text(value)
        case notation.Size() | Enum():
            return str(value)
        case int() | float() | str():
            return value
        case _:
            return str(value)
