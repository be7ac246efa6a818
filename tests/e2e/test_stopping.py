"""SIGTERM ends the daemon in time, and what could not be told is told afterwards."""

from pathlib import Path
from signal import SIGTERM

from aiohttp import ClientSession

from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e import balance
from tests.e2e.daemon import running
from tests.e2e.receiver import receiving
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.support import ports, worlds


async def test_told_to_stop_it_exits_0_once_everything_recorded_is_delivered(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    async with serving(world) as url, receiving() as receiver:
        site = Site(tmp_path, url, shutdown_grace="20s")
        site.tell(receiver)
        site.watch(*(world.play("success", parts=Parts(beat=0.5)) for _ in range(100)))
        with running(site.config) as daemon:
            await daemon.reaches(lambda: receiver.taken, "something is received")
            assert await daemon.stop(within=20) == 0

        assert daemon.loud() == []
    assert balance.faults(receiver, Record(site.database)) == []


async def test_a_webhook_that_hangs_holds_up_the_end_for_the_grace_alone(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    async with serving(world) as url, receiving() as receiver:
        receiver.hangs = True
        site = Site(tmp_path, url, shutdown_grace="500ms")
        site.tell(receiver)
        site.watch(*(world.play("mixed_failure") for _ in range(20)))
        with running(site.config) as daemon:
            await daemon.reaches(lambda: receiver.deliveries, "something hangs")
            assert await daemon.stop(within=10) == 0
            assert daemon.said("service.drain_cut_short", level="warning")

        cut_off = {delivery.id for delivery in receiver.deliveries}
        assert receiver.taken == []
        receiver.hangs = False
        record = Record(site.database)
        with running(site.config) as daemon:
            await daemon.reaches(lambda: not record.on_their_way("hook"), "the rest")
            assert await daemon.stop() == 0

    assert cut_off <= {delivery.id for delivery in receiver.taken}
    assert balance.faults(receiver, record) == []


async def test_until_all_is_delivered_it_lives_and_is_not_ready(tmp_path: Path) -> None:
    world, port = worlds.today(), ports.free()
    here = f"http://127.0.0.1:{port}"
    async with serving(world) as url, receiving() as receiver, ClientSession() as web:
        receiver.hangs = True
        site = Site(tmp_path, url, web={"listen": f"127.0.0.1:{port}"})
        site.tell(receiver)
        site.watch(world.play("mixed_failure"))
        with running(site.config) as daemon:
            await daemon.reaches(lambda: receiver.deliveries, "something hangs")
            async with web.get(f"{here}/readyz") as before:
                assert before.status == 200
            daemon.signal(SIGTERM)
            await daemon.says("service.stopping")
            async with web.get(f"{here}/readyz") as ready:
                assert ready.status == 503
            async with web.get(f"{here}/livez") as living:
                assert living.status == 200
            assert daemon.alive
