"""The configuration that is in effect, secrets masked."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from monitor.web import api
from monitor.web.api import operation
from monitor.web.api.operation import JSON, Operation

PATH: Final = f"{api.ROOT}/config"


def operations(effective: Callable[[], Mapping[str, Any]]) -> list[Operation]:
    async def show(_: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.encode(effective()), content_type=JSON)

    return [
        operation.get(
            PATH, show, "Show the configuration, secrets masked.", dict[str, Any]
        )
    ]
