"""Two daemons on one database, each with half of the shards, and a page of each."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio
from msgspec import Struct

from monitor.core.shards import SHARDS, shard
from monitor.simulator.credentials import Credentials
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e.daemon import Daemon, running
from tests.e2e.site import Site
from tests.support import control, databases, ports, worlds

FIRST: Final = 20000153
INSTANCES: Final = 12

PATIENCE: Final = 60.0
OFTEN: Final = 0.1


class Node(Struct):
    """One daemon; *page* is where its pages are."""

    site: Site
    daemon: Daemon
    page: str = ""

    @property
    def socket(self) -> Path:
        return next(self.site.directory.glob("*.sock"))

    async def ask(self, path: str, method: str = "GET", **more: Any) -> Any:
        answer = await control.ask(self.socket, method, path, **more)
        assert answer.status < 400, answer.body
        return answer.body

    async def types(self, *words: str) -> control.Typed:
        return await control.typed(*words, MONITOR_SOCKET=str(self.socket))

    async def given(self, *words: str) -> Any:
        """Type it, and read the JSON that it prints."""
        said = await self.types(*words, "-o", "json")
        assert said.code == 0, said.stderr
        return json.loads(said.stdout)

    async def comes(self, condition: Callable[[Any], bool], path: str) -> Any:
        """Ask again and again until what is answered is as *condition* says."""
        found: Any = None
        with anyio.move_on_after(PATIENCE):
            while True:
                answer = await control.ask(self.socket, "GET", path)
                found = answer.body
                if answer.status == 200 and condition(found):
                    return found
                await anyio.sleep(OFTEN)  # other processes set no event
        raise AssertionError(f"not within {PATIENCE:g} s: {path}, but {found}")

    async def owned(self) -> set[int]:
        nodes = (await self.ask("/nodes"))["items"]
        [mine] = [each for each in nodes if each["me"]]
        return {*mine["shards"]}


class Cluster:
    """*now* is the time at JOB."""

    def __init__(self) -> None:
        self.now = 0.0
        self.world: World = worlds.today(
            clock=lambda: self.now, credentials=Credentials(app_secret="app-secret")
        )
        self.nodes: list[Node] = []

    def key(self, job: int) -> str:
        return f"prod/biz/2/{job}"

    async def is_of(self, node: Node) -> int:
        """Find an instance that *node* owns."""
        owned = await node.owned()
        jobs = range(FIRST, FIRST + INSTANCES)
        return next(job for job in jobs if shard(self.key(job)) in owned)


@asynccontextmanager
async def clustered(
    story: str = "one_ip_fails", **polling: str
) -> AsyncIterator[Cluster]:
    """Play *story* in every instance, watched by two daemons."""
    cluster = Cluster()
    with databases.created(databases.found()) as made, ExitStack() as stack:
        # Not below pytest's directory: the names of sockets are short.
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="jm-")))
        store = databases.written(made)
        async with serving(cluster.world) as url:
            for job in range(FIRST, FIRST + INSTANCES):
                cluster.world.play(story, parts=Parts(beat=1), job_instance_id=job)
            for name in "ab":
                site = _site(directory / name, url, store, polling)
                daemon = stack.enter_context(running(site.config))
                cluster.nodes.append(Node(site, daemon))
            for node in cluster.nodes:
                node.page = (await node.daemon.says("web.listening"))["url"]
                await node.daemon.says("service.started")
            for node in cluster.nodes:
                await node.comes(_settled, "/nodes")
                await node.comes(lambda said: said["unseen"] == 0, "/status")
            yield cluster


def _settled(said: Any) -> bool:
    """Tell whether each has its half, and looks at what it owns."""
    owned = [each["owned"] for each in said["items"]]
    watches = sum(each["watches"] for each in said["items"])
    return owned == [SHARDS // 2, SHARDS // 2] and watches == INSTANCES


def _site(directory: Path, url: str, store: str, polling: Mapping[str, str]) -> Site:
    directory.mkdir()
    site = Site(directory, url, store=store)
    site.settings["polling"].update(polling)
    site.settings["web"] = {"listen": f"127.0.0.1:{ports.free()}"}
    site.write()
    jobs = range(FIRST, FIRST + INSTANCES)
    site.watch(*(f"2/{job} team=sre" for job in jobs))
    return site
