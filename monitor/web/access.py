"""What callers may do: nothing, read, or change things too.

A caller brings a token, or a cookie that was given for one. Without any token in the
settings everybody who reaches the server may read, and nobody may change anything.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from monitor.ports import Now
from monitor.web import gate
from monitor.web.config import WebConfig

COOKIE: Final = "job_monitor"
LASTS: Final = timedelta(hours=12)

_SAFE: Final = ("GET", "HEAD")
_OURS: Final = (None, "same-origin", "none")


class Scope(StrEnum):
    READ = "read"
    ADMIN = "admin"


class Access:
    def __init__(self, config: WebConfig, now: Now) -> None:
        tokens = {Scope.ADMIN: config.token(), Scope.READ: config.read_token()}
        self._tokens = {scope: token for scope, token in tokens.items() if token}
        self._now = now

    @property
    def open(self) -> bool:
        """Tell whether everybody may read."""
        return not self._tokens

    def granted(self, request: web.Request) -> Scope | None:
        """Say what who asks may do."""
        if self.open:
            return Scope.READ
        bearer = gate.bearer(request)
        if bearer is not None:
            return self.of_token(bearer)
        return self._of_cookie(request.cookies.get(COOKIE, ""))

    def of_token(self, given: str) -> Scope | None:
        found = None
        for scope, token in self._tokens.items():  # all of them: it takes equally long
            if gate.same(given, token) and found is None:
                found = scope
        return found

    def check(self, request: web.Request, wanted: Scope) -> None:
        """Raise 401 for who is unknown, 403 for who may do less."""
        granted = self.granted(request)
        if granted is None:
            raise web.HTTPUnauthorized(
                headers={"WWW-Authenticate": "Bearer"},
                text="send the header Authorization: Bearer <web.token>",
            )
        if wanted is Scope.ADMIN and granted is not Scope.ADMIN:
            raise web.HTTPForbidden(text=self._how_to_change())
        if request.method not in _SAFE:
            check_origin(request)

    def _how_to_change(self) -> str:
        if Scope.ADMIN in self._tokens:
            return "this token may only read; send web.token"
        return "here everybody may only read; set web.token, or use the command line"

    def admits(self, wanted: Scope, handler: Handler) -> Handler:
        """Let only those to *handler* who may do what is *wanted*."""

        async def checked(request: web.Request) -> web.StreamResponse:
            self.check(request, wanted)
            return await handler(request)

        return checked

    def cookie(self, scope: Scope) -> str:
        """Write down for a browser what it may do, and until when."""
        until = int((self._now() + LASTS).timestamp())
        said = f"{scope}.{until}"
        return f"{said}.{self._seal(scope, said)}"

    def _of_cookie(self, given: str) -> Scope | None:
        said, _, seal = given.rpartition(".")
        name, _, until = said.partition(".")
        try:
            scope, ends_at = Scope(name), datetime.fromtimestamp(int(until), UTC)
        except (ValueError, OverflowError, OSError):
            return None
        known = scope in self._tokens and gate.same(seal, self._seal(scope, said))
        return scope if known and self._now() < ends_at else None

    def _seal(self, scope: Scope, said: str) -> str:
        # Another token seals otherwise: who has the old one is out.
        key = hashlib.sha256(f"session {self._tokens[scope]}".encode()).digest()
        return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


def check_origin(request: web.Request) -> None:
    """Refuse what another site lets a browser send. Source: Fetch Metadata, W3C."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    # Not request.host, which asks DNS for a name where none was sent.
    named = request.headers.get("Host")
    ours = origin is None or origin.partition("://")[2] == named
    if site not in _OURS or not ours:
        raise web.HTTPForbidden(text="another site asks for this")
