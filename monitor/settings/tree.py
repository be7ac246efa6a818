"""Settings as a tree: walk its leaves, or move its relative paths.

Works on any model, so that a sink's own configuration needs no code here.
"""

import glob
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from msgspec import Struct
from pydantic import BaseModel

from monitor.settings import notation
from monitor.settings.document import Loc
from monitor.settings.model import Settings


class Leaf(Struct, frozen=True):
    """A value that is no group; *names_secret* marks the ``x_file`` of a secret x."""

    loc: Loc
    value: object
    names_secret: bool = False


def leaves(
    value: object, loc: Loc = (), *, names_secret: bool = False
) -> Iterator[Leaf]:
    match value:
        case BaseModel():
            for name, inside in value:
                whose = name.removesuffix("_file")
                paired = whose != name and whose in type(value).model_fields
                yield from leaves(inside, (*loc, name), names_secret=paired)
        case dict():
            for key, inside in value.items():
                yield from leaves(inside, (*loc, key))
        case tuple() | list():
            for index, inside in enumerate(value):
                yield from leaves(inside, (*loc, index))
        case _:
            yield Leaf(loc, value, names_secret)


def placed(settings: Settings, directory: Path) -> Settings:
    """Let every relative path start at *directory*."""
    moved = cast("Settings", _moved(settings, directory))
    update = {
        "store": notation.store_in(directory, moved.store),
        "watch_lists": tuple(_pattern(p, directory) for p in moved.watch_lists),
    }
    return moved.model_copy(update=update)


def _moved(value: object, directory: Path) -> object:
    match value:
        case Path():
            return directory / value
        case BaseModel():
            update = {name: _moved(inside, directory) for name, inside in value}
            return value.model_copy(update=update)
        case dict():
            return {key: _moved(inside, directory) for key, inside in value.items()}
        case tuple():
            return tuple(_moved(inside, directory) for inside in value)
        case _:
            return value


def _pattern(pattern: str, directory: Path) -> str:
    # The directory's own name may hold a character that means something to glob.
    return str(Path(glob.escape(str(directory))) / pattern)
