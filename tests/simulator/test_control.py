"""The control endpoint, as another process would use it."""

import anyio
import pytest

from monitor.simulator import esb
from monitor.simulator.faults import Fault, Name
from monitor.simulator.scenarios import Parts
from monitor.simulator.world import World
from tests.simulator.asking import calling

REFUSE = {"name": "refuse", "value": None, "chance": 0.5, "after": 0, "until": None}


async def test_faults_are_switched_from_outside() -> None:
    world = World()

    async with calling(world) as caller:
        put = await caller.control("PUT", "faults", [{"name": "refuse", "chance": 0.5}])
        got = await caller.control("GET", "faults")

    assert put == got == (200, [REFUSE])
    assert world.faults.faults == (Fault(name=Name.REFUSE, chance=0.5),)


async def test_faults_of_one_instance_are_switched_from_outside() -> None:
    world = World()
    instance = world.play("success")

    async with calling(world) as caller:
        await caller.control(
            "PUT", f"instances/{instance}/faults", [{"name": "internal_error"}]
        )
        answer = await caller.ask(instance)

    assert answer["code"] == 1240002


async def test_a_scenario_is_started_from_outside() -> None:
    world = World()
    written = {"scenario": "one_ip_fails", "biz": 3, "id": 77, "hosts": 2, "beat": 1}

    async with calling(world) as caller:
        begun = await caller.control("POST", "instances", written)
        answer = await caller.ask((3, 77))

    assert begun == (
        201,
        {"biz": 3, "id": 77, "scenario": "one_ip_fails", "status": 1, "faults": []},
    )
    assert answer["data"]["job_instance"]["bk_biz_id"] == 3


@pytest.mark.looptime
async def test_a_failed_instance_is_retried_from_outside() -> None:
    world = World()
    instance = world.play("one_ip_fails", parts=Parts(hosts=2))
    seen = []

    async with calling(world) as caller:
        await anyio.sleep(100)
        for _ in range(5):
            job = (await caller.ask(instance))["data"]
            (step,) = job["blocks"][0]["step_instances"]
            rows = [row["status"] for row in step["step_ip_status"]]
            seen.append((job["job_instance"]["status"], step["status"], rows))
            if len(seen) == 1:
                await caller.control("POST", f"instances/{instance}/retry", {"beat": 2})
            else:
                await anyio.sleep(2)

    assert seen == [
        (4, 4, [9, 104]),
        (2, 4, []),
        (2, 2, [9, 5]),
        (2, 2, [9, 7]),
        (3, 3, [9, 9]),
    ]


async def test_an_instance_of_another_scope_is_named_in_full_or_by_number() -> None:
    world = World()
    instance = world.play("hang", biz=5, scope_type="tenant_set", job_instance_id=7)

    async with calling(world) as caller:
        named = await caller.control("GET", f"instances/{instance}")
        short = await caller.control("GET", "instances/5/7")

    assert str(instance) == "tenant_set/5/7"
    assert named == short
    assert named[0] == 200


async def test_requests_are_counted_for_outsiders() -> None:
    world = World()
    instance = world.play("success")

    async with calling(world) as caller:
        await caller.ask(instance)
        status, counts = await caller.control("GET", "requests")

    (recent,) = counts.pop("recent")
    assert (status, recent["method"], recent["instance"]) == (200, "GET", [2, 20000153])
    assert counts == {
        "total": 1,
        "endpoints": {esb.STATUS: 1},
        "instances": {"2/20000153": 1},
        "throttled": 0,
        "callbacks": {},
        "in_flight": 0,
        "most_in_flight": 1,
    }


async def test_the_control_endpoint_knows_no_bad_weather() -> None:
    world = World()
    world.switch([Fault(name=Name.REFUSE)])

    async with calling(world) as caller:
        assert await caller.control("PUT", "faults", []) == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "json", "status", "excerpt"),
    [
        ("POST", "instances/2/1/retry", {}, 404, "2/1 is not played here"),
        ("POST", "instances/2/20000153/retry", {}, 409, "status 1"),
        ("GET", "instances/2/1", None, 404, "2/1"),
        ("PUT", "faults", [{"name": "rain"}], 400, "rain"),
        ("PUT", "faults", {}, 400, "array"),
        ("POST", "instances", {"scenario": "x"}, 400, "one_ip_fails"),
        ("POST", "instances", {"scene": "x"}, 400, "scene"),
        ("POST", "instances", {}, 400, "exactly one of"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(
    method: str, path: str, json: object, status: int, excerpt: str
) -> None:
    world = World()
    world.play("success")

    async with calling(world) as caller:
        answered, body = await caller.control(method, path, json)

    assert answered == status
    assert excerpt in body["error"]


async def test_what_is_played_is_listed() -> None:
    world = World()
    world.play("hang")

    async with calling(world) as caller:
        status, listed = await caller.control("GET", "instances")
        one = await caller.control("GET", "instances/2/20000153")

    assert (status, listed) == (200, [one[1]])
