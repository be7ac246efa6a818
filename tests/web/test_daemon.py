"""The server as a part of the daemon."""

from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families as read
from structlog.testing import capture_logs
from structlog.typing import EventDict

from monitor import errors
from monitor.web.metrics import PREFIX
from tests.support import ports
from tests.test_service import (
    FINISHED,
    LISTED,
    Site,
    Stage,
    a_site,
    eventually,
    named,
    playing,
)

pytestmark = pytest.mark.looptime

NUMBER = int(LISTED.partition("/")[2])


def open_web(site: Site, **more: Any) -> str:
    listen = f"127.0.0.1:{ports.free()}"
    site.more["web"] = {"listen": listen, **more}
    return f"http://{listen}"


async def get(url: str, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers) as response,
    ):
        return response.status, await response.text()


async def call_back(url: str, job_instance_id: int) -> int:
    said = {"job_instance_id": job_instance_id, "status": 4, "step_instances": []}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=said) as response,
    ):
        return response.status


def listening() -> set[str]:
    """List the TCP sockets on which this process listens."""
    links = Path("/proc/self/fd").iterdir()
    ours = {str(link.readlink()) for link in links if link.is_symlink()}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    ]
    found = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    return found & ours


async def test_without_the_key_nothing_listens(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        world.play("hang")
        before = listening()
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            without = listening()
        open_web(site)
        async with playing(site) as stage:
            await eventually(lambda: len(listening()) > len(before))

    assert without == before


async def test_a_callback_brings_the_end_forward(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        url = open_web(site)
        site.more["polling"] = {"min_interval": "1h", "max_interval": "1h"}
        world.play("one_ip_fails")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            site.second, asked_at = FINISHED, anyio.current_time()
            assert await call_back(f"{url}/callback/any", NUMBER) == 200
            await stage.tells("instance.finished")
            took = anyio.current_time() - asked_at

    assert took < 60


async def test_a_lost_callback_costs_nothing_but_time(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        open_web(site)
        world.play("one_ip_fails")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            site.second = FINISHED
            await stage.tells("instance.finished")

    assert stage.types.count("instance.finished") == 1


async def test_a_forged_callback_changes_nothing_but_the_time_of_a_poll(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path) as (site, world):
        url = open_web(site)
        site.more["polling"] = {"min_interval": "1h", "max_interval": "1h"}
        instance = world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            key = instance.biz, instance.job_instance_id
            polls = world.record.instances[key]
            for _ in range(20):
                await call_back(f"{url}/callback/any", NUMBER)
            await eventually(lambda: world.record.instances[key] > polls)
            cost = world.record.instances[key] - polls

    assert stage.types == ["instance.appeared"]
    assert 1 <= cost < 20


async def test_it_says_whether_it_is_ready_and_what_it_watches(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        url = open_web(site)
        world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            ready, _ = await get(f"{url}/readyz")
            _, text = await get(f"{url}/metrics")

    found = {s.name: s.value for family in read(text) for s in family.samples}
    assert ready == 200
    assert found["job_monitor_build_info"] == 1
    assert found["job_monitor_watched_instances"] == 1
    assert found["job_monitor_source_up"] == 1


async def test_what_was_recorded_and_what_is_left_out_is_counted(
    tmp_path: Path,
) -> None:
    async with a_site(tmp_path) as (site, world):
        url = open_web(site)
        world.play("one_ip_fails")
        site.list.write_text(f"{LISTED}\nrubbish\n2/x\n")
        site.second = FINISHED
        async with playing(site) as stage:
            await stage.tells("alert.raised", times=2)
            found = await numbers(url)

    assert found["quarantined_entries"] == 2
    assert found["transitions_total", "bkjob.alert.raised"] == 2
    assert found["transitions_total", "bkjob.source.lost"] == 0


async def test_it_says_whether_the_last_configuration_was_taken(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, world):
        url = open_web(site)
        world.play("hang")
        async with playing(site) as stage:
            await stage.tells("instance.appeared")
            first = await numbers(url)
            site.refusal = errors.Misconfigured("no")
            await stage.reload()
            await eventually_says(url, 0)
            refused = await numbers(url)
            site.refusal = None
            await stage.reload()
            await eventually_says(url, 1)
            taken = await numbers(url)

    assert first[RELOADED] == 1
    assert refused[RELOADED_AT] == first[RELOADED_AT]
    assert taken[RELOADED_AT] > first[RELOADED_AT]


RELOADED = "config_last_reload_successful"
RELOADED_AT = "config_last_reload_success_timestamp_seconds"


async def eventually_says(url: str, successful: int) -> None:
    with anyio.fail_after(1000):
        while (await numbers(url))[RELOADED] != successful:  # noqa: ASYNC110
            await anyio.sleep(1)


async def numbers(url: str) -> dict[object, float]:
    """Give each number by its name, or by its name and its labels."""
    _, text = await get(f"{url}/metrics")
    samples = [sample for family in read(text) for sample in family.samples]
    return {
        (s.name.removeprefix(PREFIX), *s.labels.values())
        if s.labels
        else s.name.removeprefix(PREFIX): s.value
        for s in samples
    }


async def test_another_configuration_is_served_at_the_same_address(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            url = open_web(site, token="old")
            world.play("hang")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")
                site.more["web"]["token"] = "new"
                await stage.reload()
                await eventually(lambda: named(lines)["service.started"] == 2)
                old, _ = await get(f"{url}/metrics", Authorization="Bearer old")
                new, _ = await get(f"{url}/metrics", Authorization="Bearer new")

    assert (old, new) == (401, 200)


async def test_another_address_needs_a_restart_and_keeps_its_guard(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            url = open_web(site, token="secret")
            world.play("hang")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")
                elsewhere = open_web(site)
                await stage.reload()
                await eventually(lambda: named(lines)["configuration.unchanged"])
                without, _ = await get(f"{url}/metrics")
                bearing, _ = await get(f"{url}/metrics", Authorization="Bearer secret")
                with pytest.raises(aiohttp.ClientConnectionError):
                    await get(f"{elsewhere}/livez")

    assert keys(lines) == ["web.listen"]
    assert (without, bearing) == (401, 200)


def keys(lines: list[EventDict]) -> list[str]:
    needing = "configuration.needs_restart"
    return [line["key"] for line in lines if line["event"] == needing]


async def test_an_address_that_is_taken_refuses_the_start(tmp_path: Path) -> None:
    async with a_site(tmp_path) as (site, _):
        taken = site.sources["prod"]["url"].removeprefix("http://")
        site.more["web"] = {"listen": taken}

        with pytest.RaisesGroup(
            pytest.RaisesExc(errors.Misconfigured, match="web.listen: .* is taken"),
            flatten_subgroups=True,
        ):
            await Stage(site).serve()


async def test_an_address_that_is_taken_at_a_reload_changes_nothing(
    tmp_path: Path,
) -> None:
    with capture_logs() as lines:
        async with a_site(tmp_path) as (site, world):
            world.play("one_ip_fails")
            async with playing(site) as stage:
                await stage.tells("instance.appeared")
                taken = site.sources["prod"]["url"].removeprefix("http://")
                site.more["web"] = {"listen": taken}
                await stage.reload()
                await eventually(lambda: named(lines)["configuration.refused"])
                site.second = FINISHED
                await stage.tells("instance.finished")

    assert named(lines)["service.started"] == 2
