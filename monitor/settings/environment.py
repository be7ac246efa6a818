"""Configuration from ``MONITOR_…`` variables: ``__`` between levels, case is noise.

Lists and objects are JSON, an empty variable means null. Read one variable at a
time, so that whatever is wrong can be said of the variable that caused it.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from monitor.core.watch import Place
from monitor.settings import document, faults
from monitor.settings.document import Document, Loc
from monitor.settings.model import Settings

PREFIX: Final = "MONITOR_"
LEVEL: Final = "__"

ELSEWHERE: Final = frozenset({"MONITOR_CONFIG", "MONITOR_SOCKET"})
"""Variables that are read by the command line."""


def read(environ: Mapping[str, str]) -> Document:
    """Read what concerns us; everything else is left alone."""
    found = Document({}, {(): Place("environment")})
    # Sorted, so that MONITOR_WEB comes before what refines it, MONITOR_WEB__LISTEN.
    for name in sorted(environ.keys() - ELSEWHERE):
        if name.startswith(PREFIX):
            found = found.under(_variable(name, environ[name]))
    return found


def _variable(name: str, value: str) -> Document:
    loc = tuple(name.removeprefix(PREFIX).lower().split(LEVEL))
    if loc[0] not in Settings.model_fields:
        near = faults.nearest(loc[0], Settings.model_fields)
        hint = f"; did you mean {PREFIX}{near.upper()}?" if near else ""
        return Document({}, {}, (f"{name}: unknown variable{hint}",))
    try:
        data = _Source(name, value)() if value else _null(loc)
    except SettingsError:
        return Document({}, {}, (f"{name}: is no valid JSON",))
    places = {leaf: _place(name, leaf[len(loc) :]) for leaf in document.leaves(data)}
    return Document(data, _way(loc) | places)


def _place(name: str, inside: Loc) -> Place:
    """Point into the JSON of a variable."""
    return Place(": ".join(filter(None, (name, ".".join(map(str, inside))))))


def _null(loc: tuple[str, ...]) -> dict[str, Any]:
    first, *rest = loc
    return {first: _null(tuple(rest)) if rest else None}


def _way(loc: tuple[str, ...]) -> dict[Loc, Place]:
    """Name what leads to a variable, for what is found missing there."""
    return {
        loc[:end]: Place(PREFIX + LEVEL.join(loc[:end]).upper())
        for end in range(1, len(loc) + 1)
    }


class _Shape(Settings, BaseSettings):
    """Tells which values are lists and objects; never made."""

    model_config = SettingsConfigDict(extra="forbid")


class _Source(EnvSettingsSource):
    """Sees a single variable."""

    def __init__(self, name: str, value: str) -> None:
        self._given = {name.lower(): value}
        super().__init__(_Shape, env_prefix=PREFIX, env_nested_delimiter=LEVEL)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given
