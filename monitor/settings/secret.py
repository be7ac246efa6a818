"""Secrets: written down, or read from a file each time they are needed.

A file is never kept, so that a rotated secret is found when the old one is
refused. No error here shows what a file holds.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from monitor import errors
from monitor.settings import tree
from monitor.settings.document import Loc
from monitor.settings.model import Settings

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
    for leaf in tree.leaves(settings):
        if isinstance(leaf.value, SecretStr):
            yield leaf.value.get_secret_value()
        elif isinstance(leaf.value, Path) and leaf.names_secret:
            yield read(leaf.value)


def unreadable(settings: Settings) -> Iterator[tuple[Loc, str]]:
    """Find the files that the settings name and that cannot be used."""
    for leaf in tree.leaves(settings):
        if isinstance(leaf.value, Path):
            _, why = _text(leaf.value) if leaf.names_secret else _start(leaf.value)
            if why:
                yield leaf.loc, f"{leaf.value}: {why}"


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
