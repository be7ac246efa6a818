"""From a file and the environment to ``Settings``, or every fault at once.

The environment wins over the file. Relative paths start at the file's directory,
or where we stand if there is no file. Every file that the settings name, secrets
above all, must be there to be read.
"""

import glob
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from monitor import errors
from monitor.settings import (
    document,
    environment,
    faults,
    secret,
    stores,
    templating,
)
from monitor.settings.document import Document
from monitor.settings.model import Settings

DEFAULT: Final = Path("monitor.yaml")

OF_SOURCES: Final = ("sources", "polling", "locale")
"""The keys that looking at JOB needs."""


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings; None means ``monitor.yaml``, which may be absent.

    Raises ``errors.Misconfigured`` with a line for each fault.
    """
    given, start = _given(path, environ, "configure everything by MONITOR_… variables")
    settings, found = _settings(given, given.data, start)
    if settings is not None:
        unusable = (*secret.unreadable(settings), *templating.faults(settings))
        found = tuple(faults.at(loc, why, given) for loc, why in unusable)
    return _accepted(settings, given.faults + found)


def sources(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read like ``load``, but only what looking at JOB needs.

    Watch lists, sinks, the store and whatever else the file holds may be absent or
    unusable; it must be YAML all the same. The files that sources name are not
    looked for: see ``only``.
    """
    begins = tuple(f"{environment.PREFIX}{key.upper()}" for key in OF_SOURCES)
    ours = {k: v for k, v in environ.items() if k.upper().startswith(begins)}
    given, start = _given(path, ours, "give a source by MONITOR_SOURCES__… variables")
    data = {key: given.data[key] for key in OF_SOURCES if key in given.data}
    settings, found = _settings(given, data, start)
    return _accepted(settings, given.faults + found)


def store(path: Path | None, environ: Mapping[str, str]) -> Path:
    """Say which file the store is, or could be; the control socket lies beside it."""
    start, url = _store(path, environ)
    return stores.file(url, start).resolve()


def store_url(path: Path | None, environ: Mapping[str, str]) -> str:
    """Say where the store is; whatever else is amiss is not looked at."""
    start, url = _store(path, environ)
    return stores.placed(url, start)


def _store(path: Path | None, environ: Mapping[str, str]) -> tuple[Path, str]:
    ours = {k: v for k, v in environ.items() if k.upper() == "MONITOR_STORE"}
    given, start = _given(path, ours, "name the store by MONITOR_STORE")
    url = given.data.get("store", Settings.model_fields["store"].default)
    try:
        return start, TypeAdapter(stores.StoreUrl).validate_python(url)
    except ValidationError as exc:
        said = exc.errors(include_url=False, include_context=False, include_input=False)
        raise errors.Misconfigured(
            faults.at(("store",), said[0]["msg"], given)
        ) from None


def only(settings: Settings, names: Collection[str]) -> Settings:
    """Keep the sources called *names*; Misconfigured if a file of theirs is amiss."""
    wanted = {name: settings.sources[name] for name in names}
    fewer = settings.model_copy(update={"sources": wanted})
    unreadable = secret.unreadable(fewer)
    found = tuple(f"{'.'.join(map(str, loc))}: {why}" for loc, why in unreadable)
    return _accepted(fewer, found)


def _given(
    path: Path | None, environ: Mapping[str, str], instead: str
) -> tuple[Document, Path]:
    """Give what is written, and where its relative paths start."""
    variables = environment.read(environ)
    path = DEFAULT if path is None and DEFAULT.exists() else path
    if path is not None:
        return document.read(path).under(variables), path.parent
    if not variables.data:
        nowhere = f"{DEFAULT}: no such file; write one, name another with --config"
        raise errors.Misconfigured(*(variables.faults or (f"{nowhere}, or {instead}",)))
    return variables, Path()


def _settings(
    given: Document, data: Mapping[str, object], start: Path
) -> tuple[Settings | None, tuple[str, ...]]:
    """Give the settings, or what is wrong with them.

    Not an exception: pydantic's would carry the secrets that it refused.
    """
    try:
        settings = Settings.model_validate(dict(data))
    except ValidationError as exc:
        return None, tuple(faults.lines(exc, given))
    return _placed(settings, start), ()


def _accepted(settings: Settings | None, found: tuple[str, ...]) -> Settings:
    if settings is None or found:
        raise errors.Misconfigured(*found)
    return settings


def _placed(settings: Settings, directory: Path) -> Settings:
    """Let every relative path start at *directory*."""
    moved = cast("Settings", _moved(settings, directory))
    # The directory's own name may hold a character that means something to glob.
    escaped = Path(glob.escape(str(directory)))
    update = {
        "store": stores.placed(moved.store, directory),
        "watch_lists": tuple(str(escaped / pattern) for pattern in moved.watch_lists),
    }
    return moved.model_copy(update=update).beginning_at(directory)


def _moved(value: object, directory: Path) -> object:
    """Works on any model, so that a sink's own configuration needs no code here."""
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
