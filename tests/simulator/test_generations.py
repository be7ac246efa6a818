"""One world, told in four ways at once: what is true does not depend on the way."""

from typing import Any

import pytest

from monitor.simulator import scenarios
from monitor.simulator.scenarios import Parts
from monitor.simulator.world import World
from tests.simulator.asking import calling
from tests.simulator.voices import (
    ESB_V2,
    ESB_V3,
    GATEWAY_V3,
    STATUSES,
    HandMovedClock,
    about,
    ask,
    refusal,
    said,
)

Truth = tuple[bool, int, list[tuple[int, int, int, list[int]]]]


def truth(data: Any) -> Truth:
    """Show what all generations can say: (finished, job, [(id, step, count, rows)])."""
    steps = data.get("step_instance_list") or [
        block["step_instances"][0] for block in data["blocks"]
    ]
    finished = data["finished"] if "finished" in data else data["is_finished"]
    return finished, data["job_instance"]["status"], [_step(step) for step in steps]


def _step(step: Any) -> tuple[int, int, int, list[int]]:
    rows: list[Any] = next(
        (
            step[name]
            for name in (
                "step_ip_status",
                "step_ip_result_list",
                "step_execute_object_result_list",
            )
            if name in step
        ),
        [],
    )
    statuses = [row["status"] for row in rows]
    return step["step_instance_id"], step["status"], step["execute_count"], statuses


@pytest.mark.parametrize(
    "name", [n for n in scenarios.CATALOGUE if n not in {"containers", "stringly"}]
)
def test_every_scenario_is_the_same_in_all_generations(name: str) -> None:
    clock = HandMovedClock()
    world = World(clock=clock)
    instance = world.play(name, job_instance_id=7, parts=Parts(hosts=4, beat=1))
    world.switch([], on=instance)
    seed = world.luck.getstate()

    for _ in range(12):
        told = []
        for path in STATUSES:
            world.luck.setstate(seed)
            told.append(ask(world, path, about()))
        if instance.moment(world.now()) is None:
            assert {refusal(each)[1] for each in told} == {1244006}
        else:
            truths = [_unordered(truth(said(each)["data"])) for each in told]
            assert truths == truths[:1] * len(STATUSES)
        clock.reading += 1


def _unordered(told: Truth) -> Truth:
    finished, job, steps = told
    return finished, job, [(*step[:3], sorted(step[3])) for step in steps]


@pytest.mark.parametrize("path", [ESB_V2, ESB_V3])
def test_the_bus_adds_its_own_id_and_an_empty_message(path: str) -> None:
    world = World(clock=HandMovedClock())
    world.play("success", job_instance_id=7)

    answer = said(ask(world, path, about()))

    assert answer.keys() == {
        "result",
        "code",
        "message",
        "request_id",
        "job_request_id",
        "data",
    }


def test_numbers_are_texts_in_all_generations_of_a_stringly_server() -> None:
    world = World(clock=HandMovedClock())
    world.play("stringly", job_instance_id=7)

    for path in STATUSES:
        assert said(ask(world, path, about()))["data"]["job_instance"]["status"] == "1"


def test_containers_are_told_by_v4_alone() -> None:
    world = World(clock=HandMovedClock())
    world.play("containers", job_instance_id=7, created=-3600)

    answers = [ask(world, path, about()) for path in STATUSES]

    assert [refusal(each) for each in answers[:3]] == [(200, 1240002)] * 3
    assert answers[3].status == 200


@pytest.mark.parametrize("scope_type", ["biz", "biz_set", "tenant_set"])
def test_an_instance_is_found_in_the_scope_of_its_type_alone(scope_type: str) -> None:
    world = World(clock=HandMovedClock())
    world.play("success", biz=5, scope_type=scope_type, job_instance_id=7)

    for path in STATUSES:
        codes = {
            kind: said(ask(world, path, about(biz=5, bk_scope_type=kind))).get("data")
            for kind in ("biz", "biz_set", "tenant_set")
        }
        assert [kind for kind, data in codes.items() if data] == [scope_type]


def test_the_number_of_a_set_of_businesses_is_enough_on_the_bus() -> None:
    world = World(clock=HandMovedClock())
    instance = world.play("success", biz=9991001, job_instance_id=7)

    question = about()
    parameters = {"bk_biz_id": 9991001, "job_instance_id": 7}
    question = type(question)(parameters=parameters)

    assert str(instance) == "biz_set/9991001/7"
    for path in (ESB_V2, ESB_V3, GATEWAY_V3):
        job = said(ask(world, path, question))["data"]["job_instance"]
        assert job["bk_scope_type"] == "biz_set"


async def test_one_server_speaks_in_all_voices_and_counts_each() -> None:
    world = World()
    world.play("success", job_instance_id=7)
    parameters = {k: str(v) for k, v in about().parameters.items()}

    async with calling(world) as caller:
        for path in STATUSES:
            async with caller.session.get(
                caller.url + path, params=parameters
            ) as response:
                assert (await response.json())["data"]["job_instance"]["status"] == 1

    assert world.record.endpoints == dict.fromkeys(STATUSES, 1)
    assert world.record.instances == {(2, 7): 4}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", GATEWAY_V3),
        ("GET", "/api/bk-job/prod/api/v2/get_job_instance_status"),
        ("GET", "/api/bk-job/stag/api/v3/get_job_instance_status"),
    ],
)
async def test_the_gateway_has_no_other_paths_and_methods(
    method: str, path: str
) -> None:
    async with (
        calling(World()) as caller,
        caller.session.request(method, caller.url + path) as response,
    ):
        answer = await response.json()

    assert (response.status, answer["code"]) == (404, 1640401)
    assert response.headers["X-Bkapi-Error-Code"] == "1640401"


async def test_the_bus_takes_v3_by_post_as_well() -> None:
    world = World()
    world.play("success", job_instance_id=7)

    async with (
        calling(world) as caller,
        caller.session.post(
            caller.url + ESB_V3,
            json={
                "bk_scope_type": "biz",
                "bk_scope_id": "2",
                "job_instance_id": 7,
                "return_ip_result": True,
            },
        ) as response,
    ):
        answer = await response.json()

    assert answer["data"]["step_instance_list"][0]["step_ip_result_list"] == []
