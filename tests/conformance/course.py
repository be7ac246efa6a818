"""What one story becomes when it is watched through one generation of the API.

The simulator answers on real sockets and the client asks it, in virtual time; what
is compared are the transitions that were recorded, in the words of the events.
"""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec

from monitor.agenda import Rules
from monitor.core.cadence import Limits
from monitor.core.message import Message
from monitor.core.model import InstanceKey
from monitor.job import source as job
from monitor.job.ask import Api
from monitor.job.source import JobSource, SourceConfig
from monitor.simulator.instance import Instance
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.support import stores, worlds
from tests.support.answers import a_watch
from tests.support.watching import watching

APIS: Final[tuple[Api, ...]] = ("esb-v2", "esb-v3", "gateway-v3", "gateway-v4")
BEAT: Final = 4.0
CREDENTIALS: Final = {
    "bk_app_code": "job-monitor",
    "bk_app_secret": "app-secret",
    "bk_username": "admin",
}


def base(api: Api, url: str) -> str:
    """Give the URL that an operator would configure."""
    return f"{url}/api/bk-job/prod" if api.startswith("gateway") else url


def client(api: Api, url: str, **more: Any) -> AbstractAsyncContextManager[JobSource]:
    config = SourceConfig(
        name="prod",
        api=api,
        url=base(api, url),
        credentials=lambda: CREDENTIALS,
        timezone=timezone(timedelta(hours=8)),
        **more,
    )
    return job.opened(config)


def key(instance: Instance) -> InstanceKey:
    return InstanceKey(
        "prod", instance.kind, str(instance.biz), instance.job_instance_id
    )


async def recorded(
    api: Api,
    scenario: str,
    directory: Path,
    *,
    early: float = 0.1,
    seconds: float = 80.0,
    parts: Parts = Parts(beat=BEAT),  # noqa: B008 - frozen
) -> list[str]:
    """Watch *scenario* to its end, and tell what was recorded, a line each."""
    rules = Rules(
        limits=Limits(floor=1.0, cap=1.0), spread=0.0, early=early, gone_apart=1.0
    )
    world = worlds.this_morning()
    played = world.play(scenario, parts=parts)
    async with (
        serving(world) as url,
        client(api, url) as source,
        stores.opened(directory) as store,
        watching(store, source, [a_watch(key(played))], rules=rules) as seen,
    ):
        await anyio.sleep(seconds)

    return [line for event in seen.events for line in _lines(event)]


def _lines(event: Message) -> Iterator[str]:
    kind = event.type.removeprefix("bkjob.")
    data = msgspec.json.decode(event.data)
    if kind.startswith("alert."):
        yield f"{kind} {data['alert']['name']}"
        return
    before, after = (data.get(end, {}).get("status") for end in ("before", "after"))
    step = data.get("step", {})
    where = f" step {step['step_instance_id'] % 100}" if step else ""
    attempt = f".{step['execute_count']}" if step else ""
    path = f" {before}→{after}" if after is not None else ""
    yield f"{kind}{where}{attempt}{path}{_hosts(data)}"


def _hosts(data: Any) -> str:
    named = ",".join(f"{host['ip']}={host['status']}" for host in data.get("hosts", ()))
    counted = ",".join(f"{c['count']}×{c['status']}" for c in data.get("counts", ()))
    return f" {named or counted}" if named or counted else ""
