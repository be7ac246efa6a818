"""Several daemons with watch lists of their own watch all that any of them names."""

import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import anyio
import pytest

from monitor.simulator.instance import Instance
from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e.daemon import Daemon, running
from tests.e2e.record import DatabaseRecord
from tests.e2e.site import Site
from tests.support import databases, worlds

SOON: Final = 3.0
"""Seconds from a line in a file until somebody looks at the job, wherever."""

ENDED: Final = "bkjob.alert.resolved"
WAITING: Final = -22.0
"""When a job began that waits for somebody now, and does so for ever."""


class Cluster:
    """Machines that share a database; each has files of its own."""

    def __init__(
        self, directory: Path, world: World, url: str, store: str, stack: ExitStack
    ) -> None:
        self.world = world
        self.record = DatabaseRecord(store)
        self.daemons: dict[str, Daemon] = {}
        self._directory = directory
        self._url = url
        self._store = store
        self._stack = stack

    def lists(self, machine: str) -> Path:
        return self._directory / machine / "lists"

    def write(self, machine: str, name: str, jobs: Iterable[Instance]) -> None:
        self.lists(machine).mkdir(parents=True, exist_ok=True)
        (self.lists(machine) / name).write_text("".join(f"{job}\n" for job in jobs))

    def append(self, machine: str, name: str, *jobs: Instance) -> None:
        with (self.lists(machine) / name).open("a") as file:
            file.write("".join(f"{job}\n" for job in jobs))

    async def start(self, *machines: str) -> None:
        for machine in machines:
            site = Site(
                self._directory / machine,
                self._url,
                watch_lists=["lists"],
                store=self._store,
            )
            self.daemons[machine] = self._stack.enter_context(running(site.config))
        for machine in machines:
            await self.daemons[machine].says("service.started")

    async def reloaded(self, machine: str) -> dict[str, Any]:
        config = self._directory / machine / "monitor.yaml"
        verb = [sys.executable, "-m", "monitor", "reload", "-o", "json"]
        ended = await anyio.run_process([*verb, "--config", str(config)])
        said: dict[str, Any] = json.loads(ended.stdout)
        return said

    def jobs(self, count: int) -> list[Instance]:
        """Begin jobs with an alert, which ends when nobody is to watch them."""
        play = self.world.play
        return [play("manual_confirm", created=WAITING) for _ in range(count)]

    async def watched(self, jobs: Iterable[Instance]) -> None:
        """Wait until each of *jobs* has its alert, and is looked at."""
        keys = {f"prod/biz/{job}" for job in jobs}
        daemon = next(each for each in self.daemons.values() if each.alive)
        await daemon.reaches(
            lambda: (
                keys
                <= {e.key for e in self.record.events() if e.type.endswith("raised")}
            ),
            f"{len(keys)} jobs have an alert",
        )
        await self.polled(jobs)

    async def polled(self, jobs: Iterable[Instance]) -> None:
        """Wait until each of *jobs* is looked at once more."""
        polls = self.world.record.instances
        before = {(job.biz, job.job_instance_id): 0 for job in jobs}
        before = {key: polls[key] for key in before}
        daemon = next(each for each in self.daemons.values() if each.alive)
        await daemon.reaches(
            lambda: all(polls[key] > count for key, count in before.items()),
            f"{len(before)} jobs are looked at",
        )

    def unwatched(self) -> Counter[str]:
        return Counter(e.key for e in self.record.events() if e.type == ENDED)


@asynccontextmanager
async def a_cluster(directory: Path) -> AsyncIterator[Cluster]:
    world = worlds.today(clock=lambda: 0.0)  # so that all stays as it is
    with databases.created(databases.found()) as made, ExitStack() as stack:
        async with serving(world) as url:
            yield Cluster(directory, world, url, databases.written(made), stack)


@pytest.mark.timeout(240)
async def test_whatever_any_machine_names_is_watched_until_none_does(
    tmp_path: Path,
) -> None:
    async with a_cluster(tmp_path) as cluster:
        of_a, of_b, appended = cluster.jobs(12), cluster.jobs(12), cluster.jobs(8)
        cluster.write("a", "a.txt", of_a)
        cluster.write("b", "b.txt", of_b)
        await cluster.start("a")
        await cluster.start("b")
        await cluster.watched([*of_a, *of_b])
        await cluster.daemons["a"].says("shards.given_up", owned=32)
        said = await cluster.reloaded("a")
        assert (said["watches"], said["in_all"]) == (12, 24)

        took = []
        for job in appended:
            began = anyio.current_time()
            cluster.append("a", "a.txt", job)
            await cluster.polled([job])
            took.append(anyio.current_time() - began)
        assert median(took) < SOON, took

        await cluster.watched(appended)
        cluster.daemons["a"].kill()
        await cluster.daemons["b"].says("shards.gained", owned=64)
        await cluster.polled([*of_a, *appended, *of_b])

        await cluster.start("a")
        await cluster.daemons["b"].says("shards.given_up", owned=32)
        await cluster.polled([*of_a, *appended, *of_b])
        assert cluster.unwatched() == Counter()

        (cluster.lists("a") / "a.txt").unlink()
        gone = {f"prod/biz/{job}" for job in (*of_a, *appended)}
        b = cluster.daemons["b"]
        await b.reaches(lambda: cluster.unwatched().keys() >= gone, "a's are ended")
        await cluster.polled(of_b)
        assert await cluster.daemons["a"].stop() == 0
        await cluster.polled(of_b)
        assert await b.stop() == 0

        assert cluster.unwatched() == Counter(gone)


@pytest.mark.timeout(240)
async def test_of_one_file_the_newest_content_counts_and_a_lasting_difference_is_told(
    tmp_path: Path,
) -> None:
    async with a_cluster(tmp_path) as cluster:
        common, older, newer = cluster.jobs(3)
        for machine in "ab":
            cluster.write(machine, "jobs.txt", [common, older])
        await cluster.start("a", "b")
        await cluster.watched([common, older])

        cluster.write("b", "jobs.txt", [common, newer])
        await cluster.polled([common, newer])
        a, b = cluster.daemons["a"], cluster.daemons["b"]
        differs = f"prod/biz/{older}"
        await b.reaches(lambda: cluster.unwatched() == Counter([differs]), "ended")

        def told(daemon: Daemon) -> list[str]:
            lines = daemon.said("watchlist.differs")
            return [line["counts"].rpartition("/")[2] for line in lines]

        await a.reaches(lambda: told(a) or told(b), "the difference is told")
        # Who told of it tells of its end.
        other, teller = ("b", a) if told(a) else ("a", b)
        cluster.daemons[other].kill()
        await cluster.start(other)
        await cluster.polled([common, newer])
        assert cluster.unwatched() == Counter([differs])

        cluster.write("a", "jobs.txt", [common, newer])
        await teller.reaches(lambda: teller.said("watchlist.agrees"), "they agree")
        assert told(a) + told(b) == ["b"]
        for daemon in cluster.daemons.values():
            assert await daemon.stop() == 0
