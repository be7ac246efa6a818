"""Secrets of sinks: read from their files when they are needed, and shown to nobody."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import anyio
from pydantic import SecretStr

from monitor import errors
from monitor.sinks import notation

FILE_MAX: Final = 64 * 1024
SHORTEST: Final = 4
"""What is shorter is no secret, and would blot out words by chance."""

T = TypeVar("T")


async def text(path: Path) -> str:
    """Read a file; Misconfigured, which shows nothing of what it holds."""
    try:
        async with await anyio.open_file(path, encoding="utf-8") as file:
            return await file.read(FILE_MAX)
    except OSError as exc:
        raise errors.Misconfigured(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        # Not chained: that error holds the bytes of the file.
        raise errors.Misconfigured(f"{path}: is not UTF-8 text") from None


def checked(check: Callable[[str], T], text: str, path: Path) -> T:
    try:
        return check(text)
    except ValueError as exc:
        raise errors.Misconfigured(f"{path}: {exc}") from None


async def word(given: SecretStr | None, path: Path | None) -> str:
    """Give one that is written down or in a file; "" where there is neither."""
    if path is not None:
        return checked(_not_empty, (await text(path)).strip(), path)
    return given.get_secret_value() if given else ""


async def headers(given: Mapping[str, SecretStr], path: Path | None) -> dict[str, str]:
    """Give those of the configuration, and over them those of a file."""
    found = dict(given)
    if path is not None:
        found |= checked(notation.headers, await text(path), path)
    return {name: value.get_secret_value() for name, value in found.items()}


def masked(text: str, secrets: Iterable[str]) -> str:
    """Blot out every secret in what the other side said."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, "***")
    return text


def _not_empty(secret: str) -> str:
    if not secret:
        raise ValueError("is empty")
    return secret
