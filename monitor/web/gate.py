"""Who may come in: tokens, and the names under which browsers may come.

No token is shown, compared in time that tells something of it, or taken from a
query, where proxies log it.
"""

import hmac
import ipaddress
from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from monitor.web.config import WebConfig

_OURS: Final = frozenset({"localhost"})


def same(given: str, wanted: str) -> bool:
    # Headers and paths may hold halves of surrogate pairs.
    one, other = (text.encode(errors="backslashreplace") for text in (given, wanted))
    return hmac.compare_digest(one, other)


def bearer(request: web.Request) -> str | None:
    """Give the token that the request brings, which may be empty; None: it brings none.

    What a proxy before us has asked for, such as a password, is no matter of ours.
    """
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def names(config: WebConfig) -> frozenset[str]:
    return _OURS.union(_plain(name) for name in (config.host, *config.allow_hosts))


def against_rebinding(known: Collection[str], exempt: str) -> Middleware:
    """Refuse names that nobody configured, but on the route *exempt*.

    A page may let a name of its own point here and read what we answer. An address
    cannot be pointed elsewhere, and who sends no name at all is no browser.
    """

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        if resource is None or resource.canonical != exempt:
            for host in request.headers.getall("Host", ()):
                _check(host, known)
        return await handler(request)

    return checked


def _check(host: str, known: Collection[str]) -> None:
    name = _plain(host)
    if name not in known and not _is_address(name):
        raise web.HTTPMisdirectedRequest(
            text="this name is not known here; add it to web.allow_hosts"
        )


def _plain(host: str) -> str:
    """Leave out the port, and the brackets of an address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    # More than one colon: an address as the settings have it.
    name = host.partition(":")[0] if host.count(":") == 1 else host
    return name.rstrip(".").lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
