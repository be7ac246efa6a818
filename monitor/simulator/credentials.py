"""Who may ask: the credentials that the bus wants, and where a caller puts them.

Nothing of it is ever printed: `Credentials` has no readable form.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

# What a credential is called in body and query, and in X-Bkapi-Authorization.
_SPELLINGS: Final = {
    "app_code": ("bk_app_code",),
    "app_secret": ("bk_app_secret",),
    "username": ("bk_username",),
    "token": ("bk_token", "bk_ticket"),
    "access_token": ("access_token", "bk_access_token"),
}


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What must be offered; None: not asked for."""

    app_code: str | None = None
    app_secret: str | None = None
    username: str | None = None
    token: str | None = None
    access_token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


def offered(parameters: Mapping[str, Any], header: str | None) -> Credentials:
    """Collect the credentials from a header, else from the parameters.

    A header that is no JSON object offers nothing.
    """
    places = (_in_header(header), parameters)
    return Credentials(
        **{name: _found(places, spellings) for name, spellings in _SPELLINGS.items()}
    )


def satisfied(wanted: Credentials, given: Credentials) -> bool:
    return all(
        want is None or want == getattr(given, name)
        for name, want in msgspec.structs.asdict(wanted).items()
    )


def _in_header(header: str | None) -> Mapping[str, Any]:
    if header is None:
        return {}
    try:
        return msgspec.json.decode(header, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def _found(places: Iterable[Mapping[str, Any]], spellings: Iterable[str]) -> str | None:
    for place in places:
        for spelling in spellings:
            if place.get(spelling):
                return str(place[spelling])
    return None
