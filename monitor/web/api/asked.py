"""What requests ask for, read and bounded; a refusal says what would be right."""

import base64
from typing import Any, Final, TypeVar

import anyio
import msgspec
from aiohttp import web
from msgspec import Struct

from monitor.core import matchers
from monitor.core.matchers import Matcher

T = TypeVar("T")

LIMIT: Final = 100
LIMIT_MAX: Final = 1000
MATCHERS: Final = 20
_BODY_WITHIN: Final = 10.0


class Span(Struct, frozen=True):
    """The wanted page: at most *limit* things that come behind the place *after*."""

    limit: int
    after: Any = None


async def body(request: web.Request, type_: type[T]) -> T:
    """Decode the JSON that was sent; its size is bounded by the server."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        with anyio.fail_after(_BODY_WITHIN):
            sent = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    try:
        return msgspec.json.decode(sent, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise web.HTTPBadRequest(text=f"the body: {wrong}") from None


def span(request: web.Request, place: type[T] | Any = list[Any]) -> Span:
    """Read ``?limit=&after=``; *place* is the type of what ``place_text`` was given."""
    given = request.query.get("after")
    after = None if given is None else read_place(given, place)
    return Span(_limit(request), after)


def _limit(request: web.Request) -> int:
    given = request.query.get("limit", str(LIMIT))
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= LIMIT_MAX):
        raise web.HTTPBadRequest(text=f"limit: write a number from 1 to {LIMIT_MAX}")
    return int(given)


def read_place(given: str, place: Any) -> Any:
    try:
        text = base64.urlsafe_b64decode(f"{given}{'=' * (-len(given) % 4)}")
        return msgspec.json.decode(text, type=place)
    except (ValueError, msgspec.DecodeError, RecursionError):
        raise web.HTTPBadRequest(
            text="after: give what another page named as its next"
        ) from None


def place_text(place: Any) -> str:
    """Write down where a page ended, as ``after`` takes it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def matching(request: web.Request) -> tuple[Matcher, ...]:
    """Read every ``?match=``; all must match."""
    texts = request.query.getall("match", [])
    if len(texts) > MATCHERS:
        raise web.HTTPBadRequest(text=f"match: at most {MATCHERS} of them")
    try:
        return tuple(matchers.parse(text) for text in texts)
    except ValueError as wrong:
        raise web.HTTPBadRequest(text=f"match: {wrong}") from None


def answer(said: Struct, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(said), status=status, content_type="application/json"
    )
