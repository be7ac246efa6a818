"""Callbacks: what is posted, when, how often, and what is given up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import pytest
from aiohttp import web

from monitor.simulator import callback, scenarios
from monitor.simulator.faults import Fault, Name
from monitor.simulator.instance import Instance
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from monitor.simulator.story import Launch
from monitor.simulator.world import World

ONE = Parts(hosts=1)


class Receiver:
    """Takes callbacks, and says *status* to each."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.url = ""
        self.taken: list[tuple[str, Any]] = []

    async def take(self, request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        kind = request.content_type.rpartition("/")[2]
        self.taken.append((kind, body))
        return web.Response(status=self.status)

    @property
    def statuses(self) -> list[int]:
        return [body["status"] for _, body in self.taken]


@asynccontextmanager
async def receiving(status: int = 200) -> AsyncIterator[Receiver]:
    receiver = Receiver(status)
    app = web.Application()
    app.router.add_post("/callback", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/callback"
        yield receiver
    finally:
        await runner.cleanup()


def play(world: World, receiver: Receiver, name: str, **more: Any) -> Instance:
    launch = Launch(callback_url=receiver.url)
    return world.play(name, launch=launch, parts=ONE, **more)


@pytest.mark.looptime
async def test_the_end_of_an_instance_is_posted_once() -> None:
    world = World()

    async with receiving() as receiver, serving(world):
        play(world, receiver, "one_ip_fails", job_instance_id=7)
        await anyio.sleep(19)
        early = len(receiver.taken)
        await anyio.sleep(60)

    assert early == 0
    ((kind, body),) = receiver.taken
    assert kind == "json"
    assert body == {
        "job_instance_id": 7,
        "status": 4,
        "step_instances": [{"step_instance_id": 701, "status": 4}],
    }
    assert world.record.callbacks == {"delivered": 1}


@pytest.mark.looptime
async def test_what_is_not_told_200_is_posted_as_a_form_and_then_forgotten() -> None:
    world = World()

    async with receiving(status=204) as receiver, serving(world):
        play(world, receiver, "success")
        await anyio.sleep(100)

    assert [kind for kind, _ in receiver.taken] == ["json", "x-www-form-urlencoded"]
    assert receiver.taken[0][1] == receiver.taken[1][1]
    assert world.record.callbacks == {"refused": 1}


@pytest.mark.looptime
async def test_a_receiver_that_is_not_there_is_tried_once() -> None:
    world = World()

    async with serving(world) as url:
        launch = Launch(callback_url="http://127.0.0.1:1/callback")
        world.play("success", launch=launch, parts=ONE)
        await anyio.sleep(100)

    assert url
    assert world.record.callbacks == {"failed": 1}


@pytest.mark.looptime
async def test_each_attempt_that_ends_calls_back() -> None:
    world = World()

    async with receiving() as receiver, serving(world):
        play(world, receiver, "retry_recovers")
        failing = play(world, receiver, "one_ip_fails")
        await anyio.sleep(60)
        failing.retry(world.now(), beat=1)
        await anyio.sleep(60)

    assert sorted(receiver.statuses) == [3, 3, 4, 4]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("manual_confirm", [3]),
        ("hang", []),
        ("force_stop", [11]),
        ("abnormal", [9]),
        ("rolling_ignore", [3]),
        ("retry_recovers", [4, 3]),
    ],
)
def test_only_ends_by_the_engine_are_called_for(name: str, statuses: list[int]) -> None:
    told = callback.ends(scenarios.story(name).timeline)

    assert [end.moment.status for end in told] == statuses


@pytest.mark.looptime
async def test_what_ended_before_it_was_played_is_not_called_for() -> None:
    world = World()

    async with receiving() as receiver, serving(world):
        play(world, receiver, "success", created=-3600)
        await anyio.sleep(60)

    assert not receiver.taken


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("fault", "number"),
    [
        (Fault(name=Name.CALLBACK_LOST), 0),
        (Fault(name=Name.CALLBACK_REPEATED), 2),
        (Fault(name=Name.CALLBACK_LOST, chance=0), 1),
    ],
)
async def test_callbacks_are_lost_and_repeated(fault: Fault, number: int) -> None:
    world = World()
    world.switch([fault])

    async with receiving() as receiver, serving(world):
        play(world, receiver, "success")
        await anyio.sleep(60)

    assert len(receiver.taken) == number


@pytest.mark.looptime
async def test_an_early_callback_tells_an_end_that_nobody_can_see_yet() -> None:
    world = World()

    async with receiving() as receiver, serving(world):
        instance = play(world, receiver, "success")
        world.switch([Fault(name=Name.CALLBACK_EARLY, value=3)], on=instance)
        await anyio.sleep(18)
        moment = instance.moment(world.now())

    assert moment is not None
    assert (moment.status, receiver.statuses) == (2, [3])
