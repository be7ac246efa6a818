"""A receiver that does everything wrong, beside others that do not."""

import subprocess
import sys
from collections import defaultdict
from itertools import cycle
from pathlib import Path
from typing import Final

import anyio
from aiohttp import web

from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e import balance
from tests.e2e.daemon import running
from tests.e2e.receiver import Delivery, Receiver, listening, receiving
from tests.e2e.record import Record
from tests.e2e.site import Site
from tests.support import worlds

JOBS: Final = 4
QUICK: Final = Parts(beat=0.1)
HANG, RESET, THROTTLE, FAIL, REFUSE, TAKE = "hang", "reset", "429", "500", "410", "204"
TRICKS: Final = (TAKE, HANG, FAIL, THROTTLE, REFUSE, RESET)


class Chaos(Receiver):
    """Plays a trick on each message when it first comes; what comes again it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.played: dict[str, str] = {}
        self.answer = lambda delivery: self._answers.pop(delivery.id, 204)
        self._answers: dict[str, int] = {}
        self._tricks = cycle(TRICKS)

    async def take(self, request: web.BaseRequest) -> web.StreamResponse:
        id_ = request.headers["webhook-id"]
        if id_ in self.played:
            return await super().take(request)
        trick = self.played[id_] = next(self._tricks)
        match trick:
            case "hang":
                await anyio.sleep_forever()
            case "reset":
                await request.content.readany()
                assert request.transport is not None
                request.transport.abort()
            case "429":
                await request.read()
                return web.Response(status=429, headers={"Retry-After": "1"})
        self._answers[id_] = 500 if trick in (HANG, RESET) else int(trick)
        return await super().take(request)

    def tricked(self, trick: str) -> set[str]:
        return {id_ for id_, played in self.played.items() if played == trick}


def out_of_order(events: list[Delivery], dead: set[str]) -> list[str]:
    """List what was taken before the one before it, the dead aside."""
    last: dict[str, int] = defaultdict(int)
    found = []
    for event in events:
        key, number = event.said["partitionkey"], int(event.said["sequence"])
        if event.id not in dead:
            found += [event.id] * (number <= last[key])
            last[key] = number
    return found


async def test_chaos_loses_nothing_disturbs_no_order_and_no_other_sink(
    tmp_path: Path,
) -> None:
    world, chaos = worlds.today(), Chaos()
    async with (
        serving(world) as url,
        listening(chaos.take) as origin,
        receiving() as other,
        receiving() as standby,
    ):
        chaos.url = f"{origin}/hook"
        site = Site(tmp_path, url)
        site.tell(chaos, name="chaos", timeout="1s", fallback="standby")
        site.tell(other, name="other")
        site.tell(standby, name="standby", send=["alerts"])
        with running(site.config) as daemon:
            await daemon.says("service.started")
            site.watch(*(world.play("one_ip_fails", parts=QUICK) for _ in range(JOBS)))
            record = Record(site.database)
            ends = f"{JOBS} jobs end"
            await daemon.reaches(lambda: ended(record) == JOBS, ends, every=0.1)
            await daemon.reaches(
                lambda: not record.on_their_way("other"), "the other takes all"
            )
            behind = record.on_their_way("chaos")
            await daemon.reaches(
                lambda: not record.on_their_way("chaos"), "chaos takes what it may"
            )
            dead = {*record.buried()}
            first_round = chaos.events()
            said = await dlq(site, "replay", "--all")
            await daemon.reaches(
                lambda: dead <= {d.id for d in chaos.taken}, "the dead arrive"
            )
            assert await daemon.stop() == 0

    assert {*chaos.played.values()} == {*TRICKS}
    assert dead == chaos.tricked(REFUSE)
    assert f"{len(dead)} dead letters on the way again." in said
    assert [*balance.losses(chaos, record)] == []
    assert [*balance.inventions(chaos, record)] == []
    assert out_of_order(first_round, dead) == []

    assert behind != []
    assert balance.faults(other, record) == []
    assert len(other.deliveries) == len(other.taken)
    told_instead = {delivery.id for delivery in standby.notifications}
    assert {id_ for id_ in dead if "!" in id_} <= told_instead
    assert told_instead <= {delivery.id for delivery in chaos.notifications}


def ended(record: Record) -> int:
    types = [event.type for event in record.events()]
    return types.count("bkjob.instance.finished")


async def dlq(site: Site, *words: str) -> str:
    command = [sys.executable, "-m", "monitor", "dlq", *words]
    done = await anyio.run_process(
        [*command, "--config", str(site.config)],
        stderr=subprocess.PIPE,
        cwd=site.directory,
    )
    return done.stderr.decode()
