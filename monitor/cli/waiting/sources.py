"""The part of the configuration that looking at JOB needs, and no more.

Watch lists, sinks, the store and whatever else the file holds may be absent or
unusable; it must be YAML all the same. Secrets stay where they are.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from monitor import errors
from monitor.settings import document, environment, faults, loading, secret, tree
from monitor.settings.document import Document
from monitor.settings.model import Settings

KEYS: Final = ("sources", "polling", "locale")

_NOWHERE: Final = (
    f"{loading.DEFAULT}: no such file; write one, name another with --config, or give"
    f" a source by {environment.PREFIX}SOURCES__… variables"
)


def read(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the sources as ``loading.load`` would; Misconfigured says what is wrong."""
    path = loading.DEFAULT if path is None and loading.DEFAULT.exists() else path
    given = environment.read(_ours(environ))
    if path is not None:
        given = document.read(path).under(given)
    elif not given.data:
        raise errors.Misconfigured(*(given.faults or (_NOWHERE,)))

    settings, found = _validated(given)
    if settings is None or given.faults:
        raise errors.Misconfigured(*given.faults, *found)
    return tree.placed(settings, path.parent if path else Path())


def only(settings: Settings, names: Collection[str]) -> Settings:
    """Keep the sources called *names*; Misconfigured if a file of theirs is amiss."""
    wanted = {name: settings.sources[name] for name in names}
    fewer = settings.model_copy(update={"sources": wanted})
    found = [
        f"{'.'.join(map(str, loc))}: {why}" for loc, why in secret.unreadable(fewer)
    ]
    if found:
        raise errors.Misconfigured(*found)
    return fewer


def _ours(environ: Mapping[str, str]) -> dict[str, str]:
    begins = tuple(f"{environment.PREFIX}{key.upper()}" for key in KEYS)
    return {k: v for k, v in environ.items() if k.upper().startswith(begins)}


def _validated(given: Document) -> tuple[Settings | None, tuple[str, ...]]:
    # Not an exception: pydantic's would carry the secrets that it refused.
    data = {key: given.data[key] for key in KEYS if key in given.data}
    try:
        return Settings.model_validate(data), ()
    except ValidationError as exc:
        return None, tuple(faults.lines(exc, given))
