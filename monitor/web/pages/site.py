"""All pages, and what they have in common: who may see them, how they say no."""

from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import parse_qsl

import anyio
from aiohttp import web
from msgspec import Struct

from monitor import errors
from monitor.core.cluster import View
from monitor.ports import Now
from monitor.web import access
from monitor.web.access import Access, Scope
from monitor.web.api import asked, operation
from monitor.web.pages import (
    instance,
    nodes,
    overview,
    quiet,
    rendering,
    sinks,
    sources,
    speech,
)
from monitor.web.pages.rendering import Page
from monitor.web.pages.speech import Speech

LOGIN: Final = "/login"
LOGOUT: Final = "/logout"
_PAUSE: Final = 0.5
"""Seconds that a wrong token costs."""

_FIELDS: Final = 8
"""Of a form that has one."""

_YEAR: Final = timedelta(days=365)

Show = Callable[[web.Request, Page], Awaitable[web.Response]]


class House(Struct, frozen=True, kw_only=True):
    """What the pages show; *locale* is for browsers that ask for none that we speak.

    Without *nodes* there is one, and nobody wants a table of it.
    """

    overview: overview.House
    instance: instance.House
    sinks: sinks.House
    sources: sources.House
    quiet: quiet.House
    nodes: Callable[[], View] | None
    version: str
    locale: str
    away: Callable[[], bool]
    now: Now


def routes(house: House, admission: Access) -> list[web.RouteDef]:
    site = _Site(house, admission)
    return [
        web.get("/", site.page(overview.shown(house.overview))),
        web.get(instance.PATH, site.page(instance.shown(house.instance))),
        web.get("/sinks", site.page(sinks.shown(house.sinks))),
        web.get("/sources", site.page(sources.shown(house.sources))),
        web.get("/quiet", site.page(quiet.shown(house.quiet))),
        web.get(LOGIN, site.login),
        web.post(LOGIN, site.enter),
        web.post(LOGOUT, site.leave),
        *_nodes(house, site),
        *_files(),
    ]


class _Site:
    def __init__(self, house: House, admission: Access) -> None:
        self._house = house
        self._access = admission
        self._guesses = anyio.Semaphore(1)

    def page(self, show: Show) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def shown(request: web.Request) -> web.Response:
            scope = self._access.granted(request)
            if scope is None:
                return _to(LOGIN)
            words = Speech(speech.chosen(request, self._house.locale))
            page = self._page(request, words, scope)
            try:
                response = await self._there(show, request, page)
            except web.HTTPClientError as refused:
                response = page.response(
                    "refused.html", refused.status, detail=refused.text
                )
            except errors.StoreError as failed:
                response = page.response("refused.html", 503, detail=str(failed))
            _remember(request, response)
            return response

        return shown

    async def _there(
        self, show: Show, request: web.Request, page: Page
    ) -> web.Response:
        if self._house.away():
            raise errors.Away(operation.AWAY)
        return await show(request, page)

    def _page(self, request: web.Request, words: Speech, scope: Scope | None) -> Page:
        return Page(
            request,
            words,
            self._house.now(),
            version=self._house.version,
            changes=scope is Scope.ADMIN,
            shared=self._house.nodes is not None,
            signed_in=scope is not None and not self._access.open,
        )

    async def login(self, request: web.Request) -> web.Response:
        return self._asking(request)

    def _asking(self, request: web.Request, *, wrong: bool = False) -> web.Response:
        words = Speech(speech.chosen(request, self._house.locale))
        page = self._page(request, words, None)
        response = page.response("login.html", 403 if wrong else 200, wrong=wrong)
        _remember(request, response)
        return response

    async def enter(self, request: web.Request) -> web.Response:
        access.check_origin(request)
        scope = self._access.of_token(await _token(request))
        if scope is None:
            async with self._guesses:  # one after the other, however many guess
                await anyio.sleep(_PAUSE)
            return self._asking(request, wrong=True)
        there = _to("/")
        there.set_cookie(
            access.COOKIE,
            self._access.cookie(scope),
            max_age=int(access.LASTS.total_seconds()),
            httponly=True,
            # Not Strict, which would ask for the token behind each address that
            # somebody sent: what changes things looks at the origin.
            samesite="Lax",
            secure=_encrypted(request),
        )
        return there

    async def leave(self, request: web.Request) -> web.Response:
        access.check_origin(request)
        there = _to(LOGIN)
        there.del_cookie(access.COOKIE)
        return there


def _nodes(house: House, site: _Site) -> Iterator[web.RouteDef]:
    if house.nodes is not None:
        yield web.get("/nodes", site.page(nodes.shown(house.nodes, house.now)))


async def _token(request: web.Request) -> str:
    """Give what was typed; empty where what was sent is not our form."""
    sent = await asked.read(request)
    try:
        form = dict(parse_qsl(sent.decode(), max_num_fields=_FIELDS))
    except ValueError:
        return ""
    return form.get("token", "").strip()


def _encrypted(request: web.Request) -> bool:
    """Tell whether the browser speaks TLS, be it with a proxy before us."""
    return request.headers.get("Origin", "").startswith("https://")


def _to(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})


def _remember(request: web.Request, response: web.Response) -> None:
    """Keep the language that somebody chose."""
    chosen = request.query.get("lang")
    if chosen in speech.LOCALES:
        age = int(_YEAR.total_seconds())
        response.set_cookie(speech.COOKIE, chosen, max_age=age, samesite="Lax")


def _files() -> Iterator[web.RouteDef]:
    types = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    for file in sorted((rendering.HERE / "static").iterdir()):
        yield _file(file.name, file.read_bytes(), types[file.suffix])


def _file(name: str, content: bytes, type_: str) -> web.RouteDef:
    async def show(_: web.Request) -> web.Response:
        response = web.Response(body=content, content_type=type_, charset="utf-8")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    return web.get(f"{rendering.STATIC}/{name}", show)
