"""Dead letters: looked at, sent again, thrown away."""

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from aiohttp import web

from monitor.core.message import Message
from monitor.ports import Letter, Now
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes.delivery import LetterData, LettersAsked, LettersMoved
from monitor.web.shapes.page import PageData

PATH: Final = f"{api.ROOT}/dlq"
BATCH: Final = 200
IDS_MAX: Final = 1000
DROPPED: Final = "it was thrown away by hand"

Place = tuple[float, str, str]


class Letters(Protocol):
    async def letters(
        self,
        most: int,
        after: Place | None = None,
        *,
        sink: str | None = None,
        ids: Collection[str] = (),
    ) -> list[Letter]: ...

    async def drop_letters(
        self, found: Sequence[Letter], reason: str, now: float
    ) -> int: ...


class Post(Protocol):
    @property
    def takers(self) -> Sequence[str]: ...

    async def put(self, sink: str, messages: Sequence[Message]) -> int:
        """Put messages on their way again; tell how many were not on it."""
        ...


def operations(letters: Letters, post: Post, now: Now) -> list[Operation]:
    async def show(request: web.Request) -> web.Response:
        span = asked.span(request, Place)
        ids = request.query.getall("id", [])[:IDS_MAX]
        found = await letters.letters(
            span.limit + 1, span.after, sink=request.query.get("sink"), ids=ids
        )
        shown = found[: span.limit]
        more = len(found) > len(shown)
        return asked.answer(
            PageData(
                items=[data(each, whole=bool(ids)) for each in shown],
                next=asked.place_text(_place(shown[-1])) if more else None,
            )
        )

    async def replay(request: web.Request) -> web.Response:
        moved = LettersMoved(letters=0)
        async for found in _wanted(letters, await _asked(request)):
            for sink, messages in _by_sink(found).items():
                put = await post.put(sink, messages) if sink in post.takers else 0
                moved.letters += put
                moved.skipped += len(messages) - put
        return asked.answer(moved)

    async def drop(request: web.Request) -> web.Response:
        moved = LettersMoved(letters=0)
        async for found in _wanted(letters, await _asked(request)):
            seconds = now().timestamp()
            moved.letters += await letters.drop_letters(found, DROPPED, seconds)
        return asked.answer(moved)

    return [
        operation.get(
            PATH,
            show,
            "List dead letters, the oldest first.",
            PageData[LetterData],
            query=(
                *operation.PAGED,
                Parameter(name="sink", help="Only of this sink."),
                Parameter(name="id", help="Only these, whole.", many=True),
            ),
        ),
        operation.post(
            f"{PATH}/replay",
            replay,
            "Send dead letters again.",
            LettersMoved,
            body=LettersAsked,
        ),
        operation.post(
            f"{PATH}/drop",
            drop,
            "Throw dead letters away.",
            LettersMoved,
            body=LettersAsked,
        ),
    ]


async def _asked(request: web.Request) -> LettersAsked:
    wanted = await asked.body(request, LettersAsked)
    if bool(wanted.ids) == wanted.all or len(wanted.ids) > IDS_MAX:
        raise web.HTTPBadRequest(text=f"give ids, {IDS_MAX} at most, or else all: true")
    return wanted


async def _wanted(
    letters: Letters, wanted: LettersAsked
) -> AsyncIterator[Sequence[Letter]]:
    """Give what there is now, a batch at a time."""
    after: Place | None = None
    while found := await letters.letters(
        BATCH, after, sink=wanted.sink, ids=wanted.ids
    ):
        after = _place(found[-1])
        yield found


def _by_sink(found: Sequence[Letter]) -> dict[str, list[Message]]:
    messages: dict[str, list[Message]] = {}
    for letter in found:
        messages.setdefault(letter.sink, []).append(letter.message)
    return messages


def _place(letter: Letter) -> Place:
    return letter.died_at, letter.sink, letter.message.id


def data(letter: Letter, *, whole: bool) -> LetterData:
    message = letter.message
    return LetterData(
        sink=letter.sink,
        id=message.id,
        type=message.type,
        died_at=datetime.fromtimestamp(letter.died_at, UTC),
        tries=letter.tries,
        error=letter.error,
        message=msgspec.Raw(message.cloudevent() if whole else b"null"),
    )
