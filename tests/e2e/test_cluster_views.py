"""Whoever is asked of several daemons answers for all of them."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

import aiohttp
import anyio
import pytest

from monitor.cli.waiting import errand
from monitor.cli.waiting.talk import Talk
from monitor.cli.waiting.vigil import Vigil
from monitor.core.ending import Condition, Finding
from monitor.core.model import InstanceKey
from monitor.core.shards import shard
from monitor.core.transitions import Transition
from monitor.settings.model import Settings
from monitor.simulator.scenarios import Parts
from tests.e2e.cluster import (
    FIRST,
    INSTANCES,
    PATIENCE,
    Cluster,
    Node,
    clustered,
)
from tests.support import browser

pytestmark = pytest.mark.timeout(240)

OVER = 100.0


async def test_any_node_says_who_lives_and_who_owns_what() -> None:
    async with clustered() as cluster:
        asked, other = cluster.nodes
        said = [(await node.ask("/nodes"))["items"] for node in cluster.nodes]
        status = [await node.ask("/status") for node in cluster.nodes]
        screen, typed = await asked.types("status"), await asked.given("status")
        ready = await _text(f"{asked.page}/readyz?verbose")
        counted = await _text(f"{asked.page}/metrics")
        other.daemon.kill()
        gone = await asked.comes(
            lambda said: (
                {each["state"] for each in said["items"]} == {"living", "gone"}
            ),
            "/nodes",
        )
        alone = await asked.comes(
            lambda said: not said["unowned"] and said["watches"] == INSTANCES, "/status"
        )

    for one, node in zip(said, cluster.nodes, strict=True):
        assert sorted(s for each in one for s in each["shards"]) == [*range(64)]
        assert [each["state"] for each in one] == ["living", "living"]
        assert {each["url"] for each in one} == {n.page for n in cluster.nodes}
        assert sum(each["watches"] for each in one) == INSTANCES
        assert [each["url"] for each in one if each["me"]] == [node.page]
    for numbers in status:
        assert (numbers["nodes"], numbers["unowned"]) == (2, 0)
        assert (numbers["watches"], numbers["unseen"]) == (INSTANCES, 0)
    assert screen.stdout.count(" shards, ") == 2
    assert screen.stdout.count("(asked)  living  ") == 1
    assert len(typed["nodes"]) == 2
    assert "ok lease\n" in ready
    assert "\njob_monitor_nodes 2.0\n" in counted
    assert "\njob_monitor_shards_owned 32.0\n" in counted
    assert [each["shards"] for each in gone["items"] if not each["me"]] == [[]]
    assert alone["nodes"] == 1


async def _text(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_nodes_say_in_what_they_are_configured_differently() -> None:
    async with clustered() as cluster:
        asked, other = cluster.nodes
        alike = await asked.ask("/nodes")
        settings = other.site.settings
        settings["alerts"]["group_wait"] = "200ms"
        settings["sinks"].append({"name": "archive", "kind": "file", "path": "archive"})
        await _reloads(other)
        differ = await asked.comes(lambda said: len(said["differences"]) > 1, "/nodes")
        screen = await asked.types("status")
        page = await _text(f"{asked.page}/nodes?lang=zh-CN")
        counted = await _text(f"{asked.page}/metrics")
        asked.site.settings |= {key: settings[key] for key in ("alerts", "sinks")}
        await _reloads(asked)
        await other.comes(lambda said: not said["differences"], "/nodes")

    mine, theirs = (
        [n["name"] for n in differ["items"] if n["me"] is me] for me in (True, False)
    )
    as_they_started = [[node["name"]] for node in differ["items"]]
    assert alike["differences"] == []
    assert differ["differences"] == [
        {"what": "alerts", "alike": as_they_started, "lacking": []},
        {"what": "sinks.archive", "alike": [theirs], "lacking": mine},
    ]
    assert f"differs: sinks.archive: {theirs[0]}; not at {mine[0]}\n" in screen.stdout
    assert "配置不一致" in page
    assert "sinks.archive" in page
    assert "\njob_monitor_node_differences 2.0\n" in counted


async def _reloads(node: Node) -> None:
    node.site.write()
    said = await node.types("reload")
    assert said.code == 0, said.stderr


async def test_who_does_not_own_an_instance_shows_it_and_says_who_does() -> None:
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        job = await cluster.is_of(owner)
        at = f"/instances/{cluster.key(job)}"
        there, here = await owner.ask(at), await asked.ask(at)
        watch = await asked.ask(f"/watches/{cluster.key(job)}")
        listed = await asked.ask("/watches?limit=5")
        rest = await asked.ask(f"/watches?limit=1000&after={listed['next']}")
        sources = [(await n.ask("/sources"))["items"][0] for n in cluster.nodes]
        nodes = (await owner.ask("/nodes"))["items"]
        typed = await asked.types("get", f"2/{job}")

    [name] = [each["name"] for each in nodes if each["me"]]
    assert there["owner"] == here["owner"] == watch["owner"] == name
    assert there["seen_at"] is not None
    assert there["failures"] == 0
    assert _known(here) == (None, None, None)
    assert _known(watch) == (None, None, None)
    assert _elsewhere(here) == _elsewhere(there)
    keys = [each["key"] for each in (*listed["items"], *rest["items"])]
    assert keys == [cluster.key(job) for job in range(FIRST, FIRST + INSTANCES)]
    assert [each["watches"] for each in sources] == [INSTANCES, INSTANCES]
    assert f"looked at by {name}" in typed.stdout


def _known(said: dict[str, Any]) -> tuple[Any, ...]:
    return said["seen_at"], said["next_at"], said["failures"]


def _elsewhere(said: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not known to everybody; each node has lists of its own."""
    left_out = ("seen_at", "next_at", "failures", "watch")
    return {name: value for name, value in said.items() if name not in left_out}


async def test_what_is_said_to_any_node_is_done_by_the_owner() -> None:
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        job = await cluster.is_of(owner)
        paused = await asked.types("pause", f"2/{job}", "--comment", "moving")
        at = f"/instances/{cluster.key(job)}"
        await owner.comes(lambda said: said["paused"], at)
        rests = await owner.comes(lambda said: said["next_at"] is None, at)
        shown = await asked.ask(at)
        resumed = await asked.types("pause", f"2/{job}", "--end")
        again = await owner.comes(lambda said: said["next_at"] is not None, at)

        cluster.now = OVER
        await asked.comes(lambda said: said["problems"], at)
        acked = await asked.types("ack", f"2/{job}", "--comment", "mine")
        assert acked.code == 0, acked.stderr
        known = await owner.comes(lambda said: said["items"], "/acks")
        silenced = await asked.types(
            *("silence", "add", f'instance="{cluster.key(job)}"', "--for", "1h"),
            *("--comment", "mine"),
        )
        muted = await owner.comes(lambda said: said["items"], "/silences")
        told = await asked.ask(f"/explain?of={cluster.key(job)}")

    assert [paused.stderr, resumed.stderr] == ["", "It is looked at again.\n"]
    assert (acked.code, silenced.code) == (0, 0)
    assert rests["watch"]["paused"]["comment"] == "moving"
    assert shown["paused"]
    assert again["paused"] is False
    assert [each["comment"] for each in known["items"]] == ["mine"]
    assert len(muted["items"]) == 1
    assert told["groups"]


async def test_a_callback_may_come_to_any_node() -> None:
    async with clustered(min_interval="1h", max_interval="1h") as cluster:
        nodes, told = cluster.nodes, []
        jobs = [await cluster.is_of(owner) for owner in nodes]
        cluster.now = OVER
        for asked, job in zip(reversed(nodes), jobs, strict=True):
            await _called_back(asked, job)
            at = f"/events?type=hosts.failed&key={cluster.key(job)}"
            told += (await asked.comes(lambda said: said["items"], at))["items"]
        numbers = await nodes[0].ask("/status")

    assert [each["key"] for each in told] == [cluster.key(job) for job in jobs]
    # At those of whom no callback came nobody has looked again.
    assert numbers["instances"]["failed"] == len(jobs)
    assert numbers["instances"]["waiting"] == INSTANCES - len(jobs)


async def _called_back(node: Node, job: int) -> None:
    url, ended = f"{node.page}/callback/any", {"job_instance_id": job, "status": 4}
    async with aiohttp.ClientSession() as session, session.post(url, json=ended) as got:
        assert got.status == 200


async def test_a_watch_is_added_and_removed_at_any_node() -> None:
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        job = await _unwatched_of(cluster, owner)
        added = await asked.types("add", f"2/{job}")
        at = f"/instances/{cluster.key(job)}"
        seen = await owner.comes(lambda said: said["status"] is not None, at)
        listed = await asked.comes(
            lambda said: len(said["items"]) == INSTANCES + 1, "/watches"
        )
        removed = await asked.types("rm", f"2/{job}")
        left = await owner.comes(lambda said: said["phase"] == "unwatched", at)

    assert (added.code, removed.code) == (0, 0)
    assert seen["watch"]["origin"] == "api"
    assert cluster.key(job) in {each["key"] for each in listed["items"]}
    assert left["watch"] is None


async def _unwatched_of(cluster: Cluster, node: Node) -> int:
    """Play a job that nobody watches so far, and that *node* will own."""
    owned = await node.owned()
    job = FIRST + INSTANCES
    while shard(cluster.key(job)) not in owned:
        job += 1
    cluster.world.play("hang", parts=Parts(beat=1), job_instance_id=job)
    return job


class Waiter(Talk):
    """Somebody who waits; *looked*: has heard how the instance stands."""

    def __init__(self) -> None:
        super().__init__(lambda _: None, locale="en", verbose=False)
        self.looked = anyio.Event()
        self.vigil: Vigil

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None:
        self.looked.set()

    async def wait(self, node: Node, job: int) -> None:
        # Were JOB asked, it would refuse.
        source = {**node.site.source, "app_secret": "not the one that JOB knows"}
        self.vigil = await errand.kept(
            [InstanceKey("prod", "biz", "2", job)],
            Condition(),
            self,
            Settings.model_validate({"sources": {"prod": source}}),
            patience=timedelta(seconds=PATIENCE),
            until=anyio.sleep_forever,
            daemon=node.socket,
        )


async def test_who_waits_at_another_node_hears_of_the_end() -> None:
    waiter = Waiter()
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        job = await cluster.is_of(owner)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, asked, job)
            await waiter.looked.wait()
            cluster.now = OVER
        known = await asked.ask(f"/instances/{cluster.key(job)}")

    [finding] = waiter.vigil.findings
    assert waiter.vigil.exit_code == 1
    assert finding.snapshot is not None
    assert finding.snapshot.status == known["status"]
    assert known["failures"] is None


async def test_who_follows_events_at_another_node_hears_of_them_soon() -> None:
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        job = await cluster.is_of(owner)
        async with aiohttp.ClientSession() as session:
            url = f"{asked.page}/api/v1/stream?key={cluster.key(job)}&type=hosts.failed"
            async with session.get(url) as response:
                cluster.now = OVER
                with anyio.fail_after(PATIENCE):
                    async for line in response.content:
                        if line.startswith(b"data: "):
                            break

    event = json.loads(line.removeprefix(b"data: "))
    assert event["partitionkey"] == cluster.key(job)


PHONE: Final = {"viewport": {"width": 390, "height": 800}}


@pytest.mark.parametrize(("scheme", "look"), [("light", {}), ("dark", PHONE)])
async def test_pages_are_for_everybody_at_whatever_node(
    scheme: str, look: dict[str, Any]
) -> None:
    browser.binary()
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    found: dict[str, str] = {}
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        at = f"/instances/{cluster.key(await cluster.is_of(owner))}"
        [name] = [n["name"] for n in (await owner.ask("/nodes"))["items"] if n["me"]]
        async with browser.opened(color_scheme=scheme, **look) as page:
            said: dict[str, str] = {}
            for path in (
                at,
                "/sources",
                "/sinks",
                "/nodes?lang=zh-CN",
                "/nodes?lang=en",
            ):
                await page.goto(asked.page + path)
                await page.wait_for_selector("#live.on")
                said[path] = await page.inner_text("main")
                wide = await page.evaluate("document.documentElement.scrollWidth")
                result = await axe.run(page)
                if result.violations_count or wide > page.viewport_size["width"]:
                    found[path] = f"{wide} wide, {result.generate_report()}"

    assert found == {}
    assert name in said[at]
    assert said["/nodes?lang=en"].count("living") == 2
    assert said["/nodes?lang=zh-CN"].count("存活") == 2
