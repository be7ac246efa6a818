"""A configuration: settings, and what the files say that they name."""

from msgspec import Struct

from monitor.formats.library import Library
from monitor.settings import effective, secret, templating
from monitor.settings.model import Settings


class Configuration(Struct, frozen=True):
    """Another content of a file is another configuration."""

    settings: Settings
    secrets: tuple[str, ...]
    library: Library


def read(settings: Settings) -> Configuration:
    """Raises ``errors.Misconfigured``, which names the file."""
    secrets = tuple(secret.known(settings))
    return Configuration(settings, secrets, templating.library(settings))


def differences(before: Configuration, after: Configuration) -> list[str]:
    """Name the keys that are other than before, or else which files are."""
    if before == after:
        return []
    files = "templates" if before.secrets == after.secrets else "secrets"
    return effective.differences(before.settings, after.settings) or [files]


def bound(before: Settings, after: Settings) -> tuple[Settings, list[str]]:
    """Keep of *before* what only a restart changes, and name it."""
    kept: dict[str, object] = {}
    needs_restart = []
    old, new = before.web, after.web
    if after.store != before.store:
        kept["store"] = before.store
        needs_restart.append("store")
    if old and new and old.listen != new.listen:
        # All of it: the other address may be fit for having no token.
        kept["web"] = old
        needs_restart.append("web.listen")
    return after.model_copy(update=kept), needs_restart
