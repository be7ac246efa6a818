"""What proves to a webhook's receiver who we are: signing keys and headers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import anyio
from msgspec import Struct

from monitor import errors
from monitor.sinks import notation
from monitor.sinks.webhook import signature
from monitor.sinks.webhook.config import WebhookConfig

FILE_MAX: Final = 64 * 1024
SECRET_MIN: Final = 4

T = TypeVar("T")


class Credentials(Struct, frozen=True):
    """*secrets* are the texts that nobody may see, those too short to be one aside."""

    keys: tuple[bytes, ...] = ()
    headers: Mapping[str, str] = {}
    robot: str = ""
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Credentials(…)"

    def masked(self, text: str) -> str:
        """Blot out every secret in what the other side said."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


async def read(settings: WebhookConfig) -> Credentials:
    """Gather them from the configuration and its files, the files read anew."""
    secret = settings.secret.get_secret_value() if settings.secret else ""
    keys = signature.keys(secret) if secret else ()
    headers = dict(settings.headers)
    if settings.secret_file:
        secret = await _text(settings.secret_file)
        keys = _checked(signature.keys, secret, settings.secret_file)
    if settings.headers_file:
        lines = await _text(settings.headers_file)
        headers |= _checked(notation.headers, lines, settings.headers_file)
    robot = await _robot(settings)
    values = {name: value.get_secret_value() for name, value in headers.items()}
    url = urlsplit(settings.url.get_secret_value())
    secrets = (*secret.split(), *values.values(), robot, url.path, url.query)
    masked = tuple(s for s in secrets if len(s) >= SECRET_MIN)
    return Credentials(keys, values, robot, masked)


async def _robot(settings: WebhookConfig) -> str:
    if settings.robot_secret_file:
        text = (await _text(settings.robot_secret_file)).strip()
        return _checked(_not_empty, text, settings.robot_secret_file)
    return settings.robot_secret.get_secret_value() if settings.robot_secret else ""


def _not_empty(secret: str) -> str:
    if not secret:
        raise ValueError("is empty")
    return secret


async def _text(path: Path) -> str:
    try:
        async with await anyio.open_file(path, encoding="utf-8") as file:
            return await file.read(FILE_MAX)
    except OSError as exc:
        raise errors.Misconfigured(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError:
        # Not chained: that error holds the bytes of the file.
        raise errors.Misconfigured(f"{path}: is not UTF-8 text") from None


def _checked(check: Callable[[str], T], text: str, path: Path) -> T:
    try:
        return check(text)
    except ValueError as exc:
        raise errors.Misconfigured(f"{path}: {exc}") from None
