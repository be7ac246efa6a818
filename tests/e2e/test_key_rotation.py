"""A receiver changes its signing key while the daemon goes on telling it things."""

import signal
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from standardwebhooks import Webhook

from monitor.simulator.server import serving
from monitor.simulator.world import World
from tests.e2e import balance
from tests.e2e.daemon import Daemon, running
from tests.e2e.receiver import SECRET, Receiver, receiving
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.support import worlds

NEXT: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ENOUGH: Final = 10
"""Requests in each phase."""


async def test_every_request_is_verified_through_a_rotation_and_none_is_lost(
    tmp_path: Path,
) -> None:
    world = worlds.today()
    secret = tmp_path / "hook_secret"
    secret.write_text(f"{SECRET}\n")
    async with serving(world) as url, receiving() as receiver:
        receiver.answer = lambda delivery: 204 if delivery.genuine else 401
        site = Site(tmp_path, url)
        site.tell(receiver, secret=None, secret_file="hook_secret")
        with running(site.config) as daemon:
            await daemon.says("service.started")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep_busy, world, site, daemon, receiver)
                await some_more(daemon, receiver)

                secret.write_text(f"{NEXT} {SECRET}\n")
                await hang_up(daemon, times=1)
                await some_more(daemon, receiver)
                by_both = len(receiver.deliveries)

                receiver.library = Webhook(NEXT)
                await some_more(daemon, receiver)

                secret.write_text(f"{NEXT}\n")
                await hang_up(daemon, times=2)
                await some_more(daemon, receiver)
                tasks.cancel_scope.cancel()
            assert await daemon.stop() == 0

    assert balance.faults(receiver, Record(site.database)) == []
    assert daemon.said("sink.failing") == []
    signatures = [len(signed(d.headers)) for d in receiver.deliveries]
    assert (signatures[0], signatures[by_both], signatures[-1]) == (1, 2, 1)


async def keep_busy(
    world: World, site: Site, daemon: Daemon, receiver: Receiver
) -> None:
    """Begin one job after another, as soon as the one before has been told of."""
    jobs: list[object] = []
    while True:
        jobs.append(world.play("success"))
        site.watch(*jobs)
        told = partial(receiver.events, f"prod/biz/{jobs[-1]}")
        await daemon.reaches(told, f"{jobs[-1]} is told of")


async def some_more(daemon: Daemon, receiver: Receiver) -> None:
    enough = len(receiver.deliveries) + ENOUGH
    await daemon.reaches(
        lambda: len(receiver.deliveries) >= enough, f"{ENOUGH} more requests"
    )


async def hang_up(daemon: Daemon, *, times: int) -> None:
    daemon.signal(signal.SIGHUP)
    await daemon.reaches(
        lambda: len(daemon.said("configuration.changed")) == times,
        "the secret is read anew",
    )


def signed(headers: dict[str, str]) -> list[str]:
    return headers["webhook-signature"].split()
