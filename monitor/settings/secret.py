"""Secrets: written down, or read from a file each time they are needed.

A file is never kept, so that a rotated secret is found when the old one is
refused. No error here shows what a file holds.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, SecretStr

from monitor import errors, logs
from monitor.settings import stores
from monitor.settings.document import Loc
from monitor.settings.model import Settings
from monitor.sinks.plugin.config import PluginConfig

FILE_MAX: Final = 64 * 1024


def reveal(secret: SecretStr | None, file: Path | None) -> str | None:
    """Tell a secret given as itself or as *file*; None where there is neither.

    Raises ``errors.Misconfigured``, which names the file.
    """
    if file is not None:
        return read(file)
    return None if secret is None else secret.get_secret_value()


def read(file: Path) -> str:
    """Read a secret without the newline that editors leave behind it."""
    text, why = _text(file)
    if why:
        raise errors.Misconfigured(f"{file}: {why}")
    return text.removesuffix("\n").removesuffix("\r")


def known(settings: Settings) -> Iterator[str]:
    """List every secret that these settings hold or point to."""
    for _, value, names_secret in _leaves(settings):
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, Path) and names_secret:
            yield read(value)
    yield from stores.passwords(settings.store)
    for sink in settings.sinks:
        if isinstance(sink, PluginConfig):
            yield from _of_plugin(sink.options)


def _of_plugin(options: object, *, secret: bool = False) -> Iterator[str]:
    """List what stands under names that look secret, however deep."""
    match options:
        case Mapping():
            for name, value in options.items():
                looks = secret or logs.looks_secret(str(name))
                yield from _of_plugin(value, secret=looks)
        case list():
            for value in options:
                yield from _of_plugin(value, secret=secret)
        case str() if secret:
            yield options


def unreadable(settings: Settings) -> Iterator[tuple[Loc, str]]:
    """Find the files that the settings name and that cannot be used."""
    for loc, value, names_secret in _leaves(settings):
        if isinstance(value, Path) and str(loc[-1]).endswith("file"):
            _, why = _text(value) if names_secret else _start(value)
            if why:
                yield loc, f"{value}: {why}"


def _leaves(
    value: object, loc: Loc = (), *, names_secret: bool = False
) -> Iterator[tuple[Loc, object, bool]]:
    """Walk any model; the flag marks the ``x_file`` of a secret x."""
    match value:
        case BaseModel():
            for name, inside in value:
                whose = name.removesuffix("_file")
                paired = whose != name and whose in type(value).model_fields
                yield from _leaves(inside, (*loc, name), names_secret=paired)
        case dict():
            for key, inside in value.items():
                yield from _leaves(inside, (*loc, key))
        case tuple() | list():
            for index, inside in enumerate(value):
                yield from _leaves(inside, (*loc, index))
        case _:
            yield loc, value, names_secret


def _text(file: Path) -> tuple[str, str]:
    """Give the text of a file, or why there is none.

    Not an exception: a UnicodeDecodeError would carry the bytes along.
    """
    found, why = _start(file)
    if why:
        return "", why
    if len(found) > FILE_MAX:
        return "", f"is larger than {FILE_MAX // 1024} KiB"
    try:
        text = found.decode()
    except UnicodeDecodeError:
        return "", "is not UTF-8 text"
    return (text, "") if text.strip() else ("", "is empty")


def _start(file: Path) -> tuple[bytes, str]:
    try:
        with file.open("rb") as opened:
            return opened.read(FILE_MAX + 1), ""
    except OSError as exc:
        return b"", f"cannot be read: {exc.strerror}"
