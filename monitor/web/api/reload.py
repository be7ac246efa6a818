"""Read configuration, watch lists and secrets anew, as SIGHUP does."""

from typing import Final, Protocol

from aiohttp import web

from monitor.web import api, problems
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.reload import ReloadData, Result

PATH: Final = f"{api.ROOT}/reload"


class Reloading(Protocol):
    @property
    def last(self) -> ReloadData: ...

    async def ask(self) -> ReloadData:
        """Reload, and say what came of it as soon as that is known or under way."""
        ...


def operations(reloading: Reloading) -> list[Operation]:
    async def reload(_: web.Request) -> web.Response:
        return _answer(await reloading.ask())

    async def show(_: web.Request) -> web.Response:
        return _answer(reloading.last)

    return [
        operation.post(
            PATH,
            reload,
            "Read configuration, watch lists and secrets anew.",
            ReloadData,
            refusals=(202, 422),
        ),
        operation.get(
            PATH,
            show,
            "Say what came of the last reload.",
            ReloadData,
            refusals=(202, 422),
        ),
    ]


def _answer(said: ReloadData) -> web.Response:
    if said.result is Result.REFUSED:
        return problems.problem(
            422,
            "Unprocessable Content",
            "the configuration is refused; the one before is kept",
            faults=said.faults,
        )
    return asked.answer(said, 202 if said.result is Result.REPLACING else 200)
