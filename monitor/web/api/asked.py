"""What requests ask for, read and bounded; a refusal says what would be right."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from heapq import nsmallest
from typing import Annotated, Any, Final, TypeVar

import anyio
import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from monitor.core import matchers, quiet, watch
from monitor.core.matchers import Matcher
from monitor.core.model import InstanceKey
from monitor.web.shapes.page import PageData

T = TypeVar("T")
D = TypeVar("D")
E = TypeVar("E", bound=StrEnum)

LIMIT: Final = 100
LIMIT_MAX: Final = 1000
MATCHERS: Final = 20
_BODY_WITHIN: Final = 10.0
NUMBER_MAX: Final = 1 << 62
"""What a column holds, and more than any count."""

Position = Annotated[int, Meta(ge=0, lt=NUMBER_MAX)]
"""A place in the log."""

NO_PLACE: Final = "after: give what another page named as its next"


class Span(Struct, frozen=True):
    """The wanted page: at most *limit* things that come behind the place *after*."""

    limit: int
    after: Any = None


async def body(request: web.Request, type_: type[T]) -> T:
    """Decode the JSON that was sent; its size is bounded by the server."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    sent = await read(request)
    try:
        return msgspec.json.decode(sent, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise web.HTTPBadRequest(text=f"the body: {wrong}") from None


async def read(request: web.Request) -> bytes:
    """Read what is sent, unless that takes for ever."""
    try:
        with anyio.fail_after(_BODY_WITHIN):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


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
        raise web.HTTPBadRequest(text=NO_PLACE) from None


def one_of(request: web.Request, name: str, kind: type[E]) -> E | None:
    """Read ``?name=``, one of the words of *kind*; None where it is not given."""
    given = request.query.get(name)
    return None if given is None else member(name, given, kind)


def member(name: str, given: str, kind: type[E]) -> E:
    try:
        return kind(given)
    except ValueError:
        known = ", ".join(kind)
        raise web.HTTPBadRequest(text=f"{name}: write one of {known}") from None


def key_of(request: web.Request) -> InstanceKey:
    """Read the key that a path spells out."""
    named = request.match_info
    try:
        return watch.instance_key(
            named["source"],
            named["scope_type"],
            named["scope_id"],
            named["job_instance_id"],
            sources=(named["source"],),
        )
    except ValueError as wrong:
        raise web.HTTPNotFound(text=str(wrong)) from None


def flag(request: web.Request, name: str) -> bool:
    given = request.query.get(name, "false")
    if given not in ("true", "false"):
        raise web.HTTPBadRequest(text=f"{name}: write true or false")
    return given == "true"


def moment_of(request: web.Request, name: str) -> datetime | None:
    """Read ``?name=`` as a moment in UTC."""
    given = request.query.get(name)
    if given is None:
        return None
    with refusing(name):
        return moment(name, datetime.fromisoformat(given))


def place_text(place: Any) -> str:
    """Write down where a page ended, as ``after`` takes it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def matching(request: web.Request) -> tuple[Matcher, ...]:
    """Read every ``?match=``; all must match."""
    return matchers_of(request.query.getall("match", []))


def matchers_of(texts: Sequence[str]) -> tuple[Matcher, ...]:
    if len(texts) > MATCHERS:
        raise web.HTTPBadRequest(text=f"match: at most {MATCHERS} of them")
    with refusing("match"):
        return tuple(matchers.parse(text) for text in texts)


@contextmanager
def refusing(key: str) -> Iterator[None]:
    """Word a ValueError about what was sent as *key*."""
    try:
        yield
    except ValueError as wrong:
        raise web.HTTPBadRequest(text=f"{key}: {wrong}") from None


def moment(key: str, given: datetime | None) -> datetime | None:
    """Give a moment in UTC; one that names no zone would be a guess."""
    if given is None:
        return None
    if given.tzinfo is None:
        raise web.HTTPBadRequest(
            text=f"{key}: say in which zone, such as {given:%Y-%m-%dT%H:%M:%S}Z"
        )
    with refusing(key):
        return quiet.in_utc(given)


def check_ours(*, ours: bool) -> None:
    if not ours:
        raise web.HTTPConflict(
            text="it stands in the configuration: change it there, and reload"
        )


def check_room(*, full: bool) -> None:
    if full:
        raise web.HTTPConflict(text="there are too many of them: end some first")


def state(now: datetime, starts_at: datetime, ends_at: datetime) -> str:
    if ends_at <= now:
        return "expired"
    return "active" if starts_at <= now else "pending"


def page(
    request: web.Request, places: Iterable[tuple[Any, T]], data: Callable[[T], D]
) -> PageData[D]:
    """Give the wanted page of what comes with its place, in the order of places."""
    wanted = span(request)
    return shown(wanted, behind(wanted, places, wanted.limit + 1), data)


def behind(
    wanted: Span, places: Iterable[tuple[Any, T]], most: int
) -> list[tuple[Any, T]]:
    """Give the first of those behind the wanted place, in order."""
    after = None if wanted.after is None else tuple(wanted.after)
    found = (each for each in places if after is None or each[0] > after)
    try:
        return nsmallest(most, found, key=lambda each: each[0])
    except TypeError:
        raise web.HTTPBadRequest(text=NO_PLACE) from None


def shown(
    wanted: Span, found: Sequence[tuple[Any, T]], data: Callable[[T], D]
) -> PageData[D]:
    """Give a page of *found*; of what is more than fits, where it goes on."""
    first = found[: wanted.limit]
    return PageData(
        items=[data(each) for _, each in first],
        next=place_text(first[-1][0]) if len(found) > len(first) else None,
    )


def answer(said: Struct, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(said), status=status, content_type="application/json"
    )
