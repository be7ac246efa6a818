"""Messages as they are on record, to see how they would be written for a sink.

Of an incident that was told to nobody, one is written as the first message would be.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final, Protocol

from aiohttp import web
from msgspec import Struct

from monitor.composing import Composing
from monitor.core import telling
from monitor.core.explaining import Recorded
from monitor.core.member import Member
from monitor.core.message import Message
from monitor.core.telling import Case, Speak, Why
from monitor.core.wording import Frame
from monitor.ports import Account, Memory, Now
from monitor.web import api
from monitor.web.api import asked, named, operation
from monitor.web.api.named import Named
from monitor.web.api.operation import Operation, Parameter
from monitor.web.shapes import messages
from monitor.web.shapes.messages import MessageData

PATH: Final = f"{api.ROOT}/messages"


class Records(Memory, Protocol):
    async def recorded(self, key: str, sequence: int) -> Recorded | None: ...

    async def notifications(self, ids: Collection[str]) -> list[Message]: ...

    async def accounts(self, groups: list[str]) -> dict[str, Account]: ...

    async def members(self, keys: Collection[str]) -> list[Member]: ...


class House(Struct, frozen=True, kw_only=True):
    """*groups_of* and *members* say who belongs together at the moment."""

    sources: Collection[str]
    groups_of: Callable[[str], Collection[str]]
    members: Callable[[str], Collection[str]]
    frame: Callable[[str], Frame]
    now: Now


def operations(records: Records, house: House) -> list[Operation]:
    shelf = _Shelf(records, house)

    async def show(request: web.Request) -> web.Response:
        of = request.query.get("of", "").strip()
        if not 0 < len(of) <= named.OF_MAX:
            raise web.HTTPBadRequest(text=f"of: {named.HOW}")
        wanted = named.read(of, house.sources)
        return asked.answer(await shelf.find(wanted))

    return [
        operation.get(
            PATH,
            show,
            "Give an event or a notification as it is on record.",
            MessageData,
            query=(Parameter(name="of", help=named.HOW, required=True),),
            refusals=(404,),
        )
    ]


class _Shelf:
    def __init__(self, records: Records, house: House) -> None:
        self._records = records
        self._house = house
        self._composing = Composing(records, house.frame)

    async def find(self, wanted: Named) -> MessageData:
        if wanted.kind == "event":
            found = await self._records.recorded(wanted.key, wanted.number)
            kept = found.event if found else None
        elif wanted.kind == "notification":
            kept = _latest(await self._records.notifications([wanted.id]))
        else:
            return await self._of_incident(wanted.key)
        if kept is None:
            raise web.HTTPNotFound(
                text=f"no {wanted.kind} {wanted.id} is on record: it never was, or it"
                " is older than retention"
            )
        return messages.of(kept)

    async def _of_incident(self, key: str) -> MessageData:
        """Give the last notification about *key*, or write one of what holds."""
        groups = list(dict.fromkeys((key, *sorted(self._house.groups_of(key)))))
        accounts = await self._records.accounts(groups)
        ids = [f"{group}!{accounts[group].notifications}" for group in groups]
        told = _latest(await self._records.notifications(ids))
        if told is not None:
            return messages.of(told)
        return messages.of(await self._written(key), kept=False)

    async def _written(self, group: str) -> Message:
        found = await self._records.members(self._house.members(group))
        cases = tuple(
            Case(id=telling.case_id(group, one.key, alert), key=one.key, alert=alert)
            for one in found
            for alert in one.alerts.values()
        )
        if not cases:
            raise web.HTTPNotFound(
                text=f"nothing was told of {group}, and nothing is wrong with it;"
                f" {named.HOW}"
            )
        return await self._composing.message(
            group,
            Speak(Why.FIRST, cases),
            number=1,
            sequence=max(one.sequence for one in found),
            now=self._house.now(),
        )


def _latest(found: Iterable[Message]) -> Message | None:
    return max(found, key=lambda message: message.time, default=None)
