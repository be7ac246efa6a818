"""``job-monitor wait`` where a daemon watches: what it hears, and what it costs JOB.

The daemon is a process at work on a simulated JOB whose time is moved by hand.
"""

import json
import signal
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from monitor.cli.waiting import errand, report
from monitor.cli.waiting.talk import Talk
from monitor.cli.waiting.vigil import Vigil
from monitor.core.ending import Condition, Finding
from monitor.core.model import InstanceKey
from monitor.core.transitions import Transition
from monitor.job.ask import Api
from monitor.settings.model import Settings
from monitor.simulator.faults import Fault, Name
from tests.cli.house import House, at_work
from tests.support import terminal

KEY = InstanceKey("prod", "biz", "2", 20000153)
OVER = 1000.0
WRONG = {"app_secret": "not the one that JOB knows"}


class Waiter(Talk):
    """Somebody who waits; *looked*: has heard how the instance stands."""

    def __init__(self) -> None:
        self.said: list[str] = []
        super().__init__(self.said.append, locale="en", verbose=False)
        self.looked = anyio.Event()
        self.vigil: Vigil

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None:
        super().moved(finding, moved)
        self.looked.set()

    async def wait(
        self, house: House, more: dict[str, str] | None = None, *, direct: bool = False
    ) -> None:
        source = {**house.site.source, **(more or {})}
        settings = Settings.model_validate({"sources": {"prod": source}})
        self.vigil = await errand.kept(
            [KEY],
            Condition(),
            self,
            settings,
            patience=timedelta(seconds=50),
            until=anyio.sleep_forever,
            daemon=None if direct else house.socket,
        )

    @property
    def printed(self) -> dict[str, Any]:
        [(finding, frame)] = errand.framed(
            self.vigil.findings,
            Settings.model_validate(
                {
                    "sources": {
                        "prod": {
                            "api": "esb-v2",
                            "url": "http://x",
                            "access_token": "t",
                        }
                    }
                }
            ),
        )
        found: dict[str, Any] = msgspec.to_builtins(report.data(finding, frame))
        return found


async def directly(house: House) -> Waiter:
    waiter = Waiter()
    await waiter.wait(house, direct=True)
    return waiter


STORIES: list[tuple[str, Api]] = [
    ("success", "esb-v2"),
    ("mixed_failure", "gateway-v3"),
    ("ignore_error", "esb-v2"),
    ("force_stop", "esb-v2"),
    ("abnormal", "gateway-v3"),
    ("rolling_duplicates", "gateway-v4"),
    ("containers", "gateway-v4"),
]


@pytest.mark.parametrize(("scenario", "api"), STORIES)
async def test_what_the_daemon_says_is_what_job_says(
    tmp_path: Path, scenario: str, api: Api
) -> None:
    async with at_work(tmp_path, {"scenario": scenario}, api=api) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, house)
            await waiter.looked.wait()
            house.now = OVER
        other = await directly(house)

    assert waiter.printed == other.printed
    assert waiter.vigil.exit_code == other.vigil.exit_code
    assert waiter.said == other.said


async def test_job_is_asked_nothing(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"scenario": "mixed_failure"}) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            # Whoever asks so would be refused.
            tasks.start_soon(lambda: waiter.wait(house, WRONG))
            await waiter.looked.wait()
            house.now = OVER
        refused = Waiter()
        await refused.wait(house, WRONG, direct=True)

    assert waiter.vigil.exit_code == 1
    assert waiter.printed["failed"] == 3
    assert refused.vigil.exit_code == 4


async def test_what_had_ended_before_is_asked_of_job(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"scenario": "mixed_failure"}) as house:
        house.now = OVER
        await house.sees("failed")
        waiter = Waiter()
        await waiter.wait(house, WRONG)

    assert waiter.vigil.exit_code == 4


async def test_a_daemon_that_goes_away_is_replaced_by_looks_of_our_own(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, {"scenario": "mixed_failure"}) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, house)
            await waiter.looked.wait()
            house.daemon.kill()
            house.now = OVER

    assert waiter.vigil.exit_code == 1
    assert waiter.printed["failed"] == 3
    assert waiter.said[0].startswith("the daemon does not answer: ")
    assert waiter.said[0].endswith("; asking JOB itself")


async def test_a_reload_of_the_daemon_is_waited_for(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, {"scenario": "mixed_failure"}) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: waiter.wait(house, WRONG))
            await waiter.looked.wait()
            house.site.settings["retention"] = "80d"
            house.site.write()
            house.daemon.signal(signal.SIGHUP)
            await house.daemon.reaches(
                lambda: len(house.daemon.said("service.started")) == 2, "it reloads"
            )
            house.now = OVER

    assert waiter.vigil.exit_code == 1
    assert not any("asking JOB" in line for line in waiter.said)


async def test_an_instance_that_is_watched_no_more_is_asked_of_job(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, {"scenario": "mixed_failure"}) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, house)
            await waiter.looked.wait()
            house.site.watch()
            await house.comes(lambda listed: not listed, "ls")
            house.now = OVER

    assert waiter.vigil.exit_code == 1
    assert waiter.said[0] == f"{KEY}: the daemon looks at it no more; asking JOB itself"


async def test_a_source_that_the_daemon_loses_is_lost(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"scenario": "hang"}) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, house)
            await waiter.looked.wait()
            house.world.switch([Fault(name=Name.SERVER_ERROR)])

    assert waiter.vigil.exit_code == 5
    assert waiter.said == [
        "prod: gave up on 1 instance: the daemon cannot see it: unreachable"
    ]


async def test_what_may_not_be_seen_any_more_is_4_as_without_a_daemon(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, {"scenario": "hang"}) as house:
        waiter = Waiter()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waiter.wait, house)
            await waiter.looked.wait()
            house.world.forbidden.add(2)

    assert waiter.vigil.exit_code == 4


async def test_another_job_of_the_same_name_is_not_asked_of_the_daemon(
    tmp_path: Path,
) -> None:
    async with at_work(tmp_path, {"scenario": "hang"}) as house:
        waiter = Waiter()
        url = house.site.source["url"].replace("127.0.0.1", "localhost")
        await waiter.wait(house, {"url": url, **WRONG})

    assert waiter.vigil.exit_code == 4


async def called(house: House, *words: str) -> subprocess.CompletedProcess[bytes]:
    where = ("--config", str(house.site.config))
    how = ("--timeout", "5s", "-o", "json")
    return await anyio.run_process(
        [*terminal.COMMAND, "wait", str(KEY), *how, *where, *words],
        cwd=house.site.directory,
        check=False,
    )


async def test_a_time_out_prints_what_is_known_so_far(tmp_path: Path) -> None:
    async with at_work(tmp_path, {"scenario": "mixed_failure"}) as house:
        house.now = 3.0
        await house.comes(lambda one: one["failed"] == 3, "get", str(KEY))
        said = await called(house)
        alone = await called(house, "--direct")

    assert (said.returncode, alone.returncode) == (3, 3)
    assert (said.stdout, said.stderr) == (alone.stdout, alone.stderr)
    assert json.loads(said.stdout)[0]["failed"] == 3
