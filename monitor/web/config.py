"""What the server is told. Imports no HTTP, for ``wait`` reads settings too."""

from collections.abc import Callable

from msgspec import Struct

Secret = Callable[[], str | None]
"""Gives a secret when it is asked, so that no repr shows it; None: there is none."""


class WebConfig(Struct, frozen=True, kw_only=True):
    """*callback_token* None: whatever token a callback has is accepted."""

    host: str
    port: int
    token: Secret
    read_token: Secret
    callback_token: Secret
    allow_hosts: tuple[str, ...] = ()
