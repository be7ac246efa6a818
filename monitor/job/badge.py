"""Our credentials as they are shown to JOB, and kept from everybody else."""

import json
from collections.abc import Mapping
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct

from monitor.job import text

# Anything shorter would blot out innocent text.
_SHORTEST: Final = 4
_NAME: Final = 256
_PUBLIC: Final = frozenset({"bk_app_code", "bk_username"})


class Badge(Struct, frozen=True):
    """*fields* go into the body and *headers* into the head; one is empty."""

    fields: Mapping[str, str]
    headers: Mapping[str, str]
    secrets: tuple[bytes, ...]

    def hushed(self, body: bytes) -> bytes:
        """Blot out our secrets, in case the other side repeats what we sent."""
        for secret in self.secrets:
            body = body.replace(secret, b"***")

        return body


def of(
    credentials: Mapping[str, str],
    place: Literal["body", "header"],
    *,
    system: bool = False,
) -> Badge:
    """*system*: for the paths of applications, whose user a header of its own names."""
    secrets = _secrets(credentials)
    if place == "body":
        return Badge(fields=credentials, headers={}, secrets=secrets)

    # Source: bkapi-client-core auth.py, read 2026-11: the header drops the prefix
    # of this one key.
    renamed = {
        "access_token" if name == "bk_access_token" else name: value
        for name, value in credentials.items()
    }
    headers = {"X-Bkapi-Authorization": json.dumps(renamed)}
    if system and "bk_username" in credentials:
        # Source: bk-job CheckOpenApiJwtGatewayFilterFactory, read 2026-11.
        headers["X-Bk-Username"] = text.plain(credentials["bk_username"], _NAME)
    return Badge(fields={}, headers=headers, secrets=secrets)


def _secrets(credentials: Mapping[str, str]) -> tuple[bytes, ...]:
    values = [
        value
        for name, value in credentials.items()
        if name not in _PUBLIC and len(value) >= _SHORTEST
    ]
    forms = {form.encode() for value in values for form in _forms(value)}
    return tuple(sorted(forms, key=len, reverse=True))


def _forms(value: str) -> tuple[str, ...]:
    """Write *value* in every way in which an answer may repeat it."""
    inside = json.dumps(value)[1:-1]
    # A message that quotes our body escapes what was escaped in there already.
    inside_twice = json.dumps(inside)[1:-1]
    return value, quote(value, safe=""), inside, inside_twice
