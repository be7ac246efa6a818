"""What daemons that share a store should have alike, told without saying what it is.

Secrets, and where files lie, are left out rather than hidden in a digest: it could be
tried out what a short one was made of.
"""

import json
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from monitor.settings import effective
from monitor.settings.model import Settings

_OWN: Final[Any] = {
    "watch_lists": True,
    "store": True,
    "shutdown_grace": True,
    "log": True,
    "web": True,
    "sources": {"__all__": {"proxy"}},
}
"""What each machine may have as it needs it."""

_NAMED: Final = ("sources", "sinks", "templates", "maintenance")


def digests(settings: Settings) -> dict[str, str]:
    """Give a digest of each part, such as ``alerts`` or ``sinks.oncall``."""
    # Of an address that is kept secret, what may be shown of it.
    origins = {f"sinks.{sink.name}": sink.origin for sink in settings.sinks}
    return {
        name: _digest([effective.plain(_open(part)), origins.get(name)])
        for name, part in _parts(settings)
    }


def _parts(settings: Settings) -> Iterator[tuple[str, object]]:
    for name, value in settings.model_dump(exclude=_OWN).items():
        if name not in _NAMED:
            yield name, value
            continue
        for each, inside in (effective.by_name(value) or {}).items():
            yield f"{name}.{each}", inside


def _open(value: object) -> object:
    """Leave out secrets and paths; None: then nothing is left.

    What is not given is left out as well, so that a secret may be in a file or not.
    """
    match value:
        case SecretStr() | Path():
            return None
        case dict():
            found = {key: _open(inside) for key, inside in value.items()}
            return {k: v for k, v in found.items() if v is not None} or None
        case tuple() | list():
            return [v for v in map(_open, value) if v is not None] or None
        case _:
            return value


def _digest(value: object) -> str:
    written = json.dumps(value, sort_keys=True).encode()
    return blake2b(written, digest_size=4).hexdigest()
