"""The simulator's own door, for other processes: faults, stories, retries, counts.

Everything under ``/_simulator/`` speaks JSON. What is refused is refused with a
sentence in ``error`` and a status of 400, 404 or 409.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from monitor.simulator import entry
from monitor.simulator.entry import WrongEntryError
from monitor.simulator.faults import Fault
from monitor.simulator.instance import Instance
from monitor.simulator.quota import Quota
from monitor.simulator.retry import NotRetryableError
from monitor.simulator.scenarios import Seconds
from monitor.simulator.story import Canned
from monitor.simulator.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    beat: Seconds = 5.0


class UnknownInstanceError(LookupError):
    """Nothing of that business and id is played here."""


def add_routes(app: web.Application, world: World) -> None:
    control = _Control(world)
    # The type of the scope may be there, as in the name of an instance; the number
    # is enough.
    scope = r"{scope:(?:(?:biz|biz_set|tenant_set)/)?}"
    one = rf"/_simulator/instances/{scope}{{biz:\d+}}/{{id:\d+}}"
    routes: list[tuple[str, str, Handler]] = [
        ("GET", "/_simulator/faults", control.faults),
        ("PUT", "/_simulator/faults", control.switch),
        ("GET", "/_simulator/instances", control.instances),
        ("POST", "/_simulator/instances", control.begin),
        ("GET", one, control.instance),
        ("PUT", f"{one}/faults", control.switch),
        ("POST", f"{one}/retry", control.retry),
        ("GET", "/_simulator/requests", control.requests),
        ("GET", "/_simulator/quota", control.quota),
        ("PUT", "/_simulator/quota", control.ration),
    ]
    for method, path, handler in routes:
        app.router.add_route(method, path, _explaining(handler))


class _Control:
    def __init__(self, world: World) -> None:
        self._world = world

    async def faults(self, request: web.Request) -> web.Response:
        return _json(self._world.faults.faults)

    async def switch(self, request: web.Request) -> web.Response:
        """Replace the faults of the world, or of the instance in the path."""
        faults = msgspec.json.decode(await request.read(), type=list[Fault])
        instance = self._named(request) if "id" in request.match_info else None
        self._world.switch(faults, on=instance)
        return _json(faults)

    async def instances(self, request: web.Request) -> web.Response:
        return _json([self._told(each) for each in self._world.instances.values()])

    async def instance(self, request: web.Request) -> web.Response:
        return _json(self._told(self._named(request)))

    async def begin(self, request: web.Request) -> web.Response:
        written = entry.decoded(msgspec.json.decode(await request.read()))
        instance = entry.enact(self._world, written)
        return _json(self._told(instance), status=201)

    async def retry(self, request: web.Request) -> web.Response:
        body = await request.read()
        retry = msgspec.json.decode(body or b"{}", type=Retry)
        instance = self._named(request)
        instance.retry(self._world.now(), retry.beat)
        return _json(self._told(instance))

    async def requests(self, request: web.Request) -> web.Response:
        record = self._world.record
        counts = {
            "total": record.total,
            "endpoints": record.endpoints,
            "instances": {f"{b}/{i}": n for (b, i), n in record.instances.items()},
            "throttled": record.throttled,
            "callbacks": record.callbacks,
            "in_flight": record.in_flight,
            "most_in_flight": record.most_in_flight,
            "recent": list(record.recent),
        }
        return _json(counts)

    async def quota(self, request: web.Request) -> web.Response:
        return _json(self._world.quota)

    async def ration(self, request: web.Request) -> web.Response:
        """Replace the quota; null lifts it."""
        quota = msgspec.json.decode(await request.read(), type=Quota | None)
        self._world.quota = quota
        return _json(quota)

    def _named(self, request: web.Request) -> Instance:
        key = int(request.match_info["biz"]), int(request.match_info["id"])
        if instance := self._world.find(*key):
            return instance
        raise UnknownInstanceError(f"{key[0]}/{key[1]} is not played here")

    def _told(self, instance: Instance) -> dict[str, Any]:
        moment = instance.moment(self._world.now())
        canned = isinstance(instance.story, Canned)
        return {
            "biz": instance.biz,
            "id": instance.job_instance_id,
            "scenario": "canned" if canned else instance.story.name,
            "status": moment and moment.status,
            "faults": instance.faults.faults,
        }


def _explaining(handler: Handler) -> Handler:
    """Turn what a caller got wrong into an answer that says so."""

    async def explained(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except UnknownInstanceError as error:
            return _json({"error": str(error)}, status=404)
        except NotRetryableError as error:
            return _json({"error": str(error)}, status=409)
        except (msgspec.DecodeError, WrongEntryError) as error:
            return _json({"error": str(error)}, status=400)

    return explained


def _json(value: Any, *, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json")
