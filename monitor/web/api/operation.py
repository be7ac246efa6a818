"""What may be asked of the API, and what its description says of it."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct, structs

from monitor import errors

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

JSON: Final = "application/json"

AWAY: Final = "the database is away just now; ask again in a while"


class Parameter(Struct, frozen=True, kw_only=True):
    """One ``?name=``; *many*: it may be given again and again."""

    name: str
    type: Any = str
    help: str
    required: bool = False
    many: bool = False


class Operation(Struct, frozen=True):
    """*answer* and *body* are types of JSON; *path* has its variables in braces.

    *refusals* are statuses beyond those that any operation may answer with.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Any
    status: int = 200
    query: Sequence[Parameter] = ()
    body: Any = None
    refusals: Sequence[int] = ()
    media: str = JSON

    @property
    def changes(self) -> bool:
        """Tell whether it does more than read."""
        return self.method != "GET"


def route(of: Operation) -> web.RouteDef:
    return web.route(of.method, of.path, of.handler)


def unless_away(of: Operation, away: Callable[[], bool]) -> Operation:
    """Refuse at once while the store is away: nobody should wait for it blindly."""

    async def handler(request: web.Request) -> web.StreamResponse:
        if away():
            raise errors.Away(AWAY)
        return await of.handler(request)

    return structs.replace(of, handler=handler)


get: Final = partial(Operation, "GET")
post: Final = partial(Operation, "POST")
delete: Final = partial(Operation, "DELETE")

LIMIT: Final = Parameter(
    name="limit",
    type=Annotated[int, Meta(ge=1, le=1000)],
    help="So many at most; 100 unless given.",
)
AFTER: Final = Parameter(name="after", help="What the page before named as its next.")
MATCH: Final = Parameter(
    name="match",
    help='A matcher, like team=~"sre|dba"; all of several must fit.',
    many=True,
)
SINCE: Final = Parameter(
    name="since", type=datetime, help="Not what was before; with its zone."
)
PAGED: Final = (LIMIT, AFTER)
