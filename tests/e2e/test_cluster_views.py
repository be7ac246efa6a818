"""Whoever is asked of several daemons answers for all of them."""

import json

import aiohttp
import anyio
import pytest

from monitor.core.shards import shard
from monitor.simulator.scenarios import Parts
from tests.e2e.cluster import (
    FIRST,
    INSTANCES,
    PATIENCE,
    Cluster,
    Node,
    clustered,
)
from tests.support import control

pytestmark = pytest.mark.timeout(240)

OVER = 100.0


async def test_any_node_says_who_lives_and_who_owns_what() -> None:
    async with clustered() as cluster:
        said = [(await node.ask("/nodes"))["items"] for node in cluster.nodes]
        status = [await node.ask("/status") for node in cluster.nodes]
        screen = await cluster.nodes[0].types("status")
        typed = await cluster.nodes[0].given("status")
        cluster.nodes[1].daemon.kill()
        gone = await cluster.nodes[0].comes(
            lambda said: said["items"][1]["state"] == "gone", "/nodes"
        )
        alone = await cluster.nodes[0].comes(
            lambda said: not said["unowned"] and said["nodes"] == 1, "/status"
        )

    for one in said:
        assert sorted(s for node in one for s in node["shards"]) == [*range(64)]
        assert {node["state"] for node in one} == {"living"}
        assert [node["url"] for node in one] == [node.page for node in cluster.nodes]
        assert sum(node["watches"] for node in one) == INSTANCES
    assert [node["me"] for one in said for node in one] == [True, False, False, True]
    for numbers in status:
        assert (numbers["nodes"], numbers["unowned"]) == (2, 0)
        assert (numbers["watches"], numbers["unseen"]) == (INSTANCES, 0)
    assert screen.stdout.count(" shards, ") == 2
    assert "(asked)  living  " in screen.stdout
    assert len(typed["nodes"]) == 2
    assert gone["items"][1]["shards"] == []
    assert alone["watches"] == INSTANCES


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
        nodes = (await asked.ask("/nodes"))["items"]
        typed = await asked.types("get", f"2/{job}")

    assert there["owner"] == here["owner"] == nodes[1]["name"]
    assert there["seen_at"] is not None
    assert there["failures"] == 0
    assert (here["seen_at"], here["next_at"], here["failures"]) == (None, None, None)
    assert here["watch"] == there["watch"]
    assert {**here, "seen_at": 0, "next_at": 0, "failures": 0} == {
        **there,
        "seen_at": 0,
        "next_at": 0,
    }
    assert (watch["owner"], watch["failures"]) == (nodes[1]["name"], None)
    keys = [each["key"] for each in (*listed["items"], *rest["items"])]
    assert keys == [cluster.key(job) for job in range(FIRST, FIRST + INSTANCES)]
    assert [each["watches"] for each in sources] == [INSTANCES, INSTANCES]
    assert f"looked at by {nodes[1]['name']}" in typed.stdout


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
        known = await owner.comes(lambda said: said["items"], "/acks")
        silenced = await asked.types(
            "silence", f"instance={cluster.key(job)}", "--for", "1h"
        )
        muted = await owner.comes(lambda said: said["items"], "/silences")
        told = await asked.ask(f"/explain?of={cluster.key(job)}")

    assert (paused.code, resumed.code, acked.code, silenced.code) == (0, 0, 0, 0)
    assert rests["watch"]["paused"]["comment"] == "moving"
    assert shown["paused"]
    assert again["paused"] is False
    assert [each["comment"] for each in known["items"]] == ["mine"]
    assert len(muted["items"]) == 1
    assert told["groups"]


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


async def test_who_waits_at_another_node_hears_of_the_end() -> None:
    async with clustered() as cluster:
        asked, owner = cluster.nodes
        job = await cluster.is_of(owner)
        words = ("wait", f"2/{job}", "--timeout", "60s", "-o", "plain", "-v")
        config = ("--config", str(asked.site.config))
        said: list[control.Typed] = []
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                said.append(await asked.types(*words, *config))

            tasks.start_soon(wait)
            cluster.now = OVER

    assert said[0].code == 1, said[0].stderr
    assert "10.0.0.5" in said[0].stdout


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
