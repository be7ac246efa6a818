"""From a file and the environment to ``Settings``, or every fault at once.

The environment wins over the file. Relative paths start at the file's directory,
or where we stand if there is no file. Every file that the settings name, secrets
above all, must be there to be read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from monitor import errors
from monitor.settings import document, environment, faults, secret, tree
from monitor.settings.document import Document
from monitor.settings.model import Settings

DEFAULT: Final = Path("monitor.yaml")


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings; None means ``monitor.yaml``, which may be absent.

    Raises ``errors.Misconfigured`` with a line for each fault.
    """
    path = DEFAULT if path is None and DEFAULT.exists() else path
    variables = environment.read(environ)
    given = variables if path is None else document.read(path).under(variables)
    if path is None and not given.places.keys() - {()}:
        raise errors.Misconfigured(*(given.faults or (_NOWHERE,)))

    settings, found = _validated(given)
    if settings is not None:
        settings = tree.placed(settings, path.parent if path else Path())
        found = tuple(
            faults.at(loc, why, given) for loc, why in secret.unreadable(settings)
        )
    if settings is None or given.faults or found:
        raise errors.Misconfigured(*given.faults, *found)
    return settings


_NOWHERE: Final = (
    f"{DEFAULT}: no such file; write one, name another with --config, or configure"
    f" everything by {environment.PREFIX}… variables"
)


def _validated(given: Document) -> tuple[Settings | None, tuple[str, ...]]:
    """Give the settings, or what is wrong with them.

    Not an exception: pydantic's would carry the secrets that it refused.
    """
    try:
        return Settings.model_validate(dict(given.data)), ()
    except ValidationError as exc:
        return None, tuple(faults.lines(exc, given))
