"""Logs of hosts, in the shape of each generation and within its limits."""

from typing import Any

import pytest

from monitor.simulator import output
from monitor.simulator.endpoints import GATEWAY
from monitor.simulator.question import Question
from monitor.simulator.scenarios import Parts
from monitor.simulator.story import Story
from monitor.simulator.timeline import Frame, Host, Moment, Row, Step, dated
from monitor.simulator.world import World
from tests.simulator.asking import calling
from tests.simulator.voices import HandMovedClock, ask, refusal, said

V2 = "/api/c/compapi/v2/job/get_job_instance_log/"
V3_ONE = f"{GATEWAY}/api/v3/get_job_instance_ip_log"
V3_MANY = f"{GATEWAY}/api/v3/batch_get_job_instance_ip_log"
ESB_MANY = "/api/c/compapi/v2/jobv3/batch_get_job_instance_ip_log/"
V4_MANY = f"{GATEWAY}/api/v4/batch_get_job_instance_execute_object_log"


def a_world(name: str = "mixed_failure", hosts: int = 4) -> World:
    world = World(clock=HandMovedClock())
    world.play(name, job_instance_id=7, created=-3600, parts=Parts(hosts=hosts))
    return world


def about(**more: Any) -> Question:
    named = {"bk_scope_type": "biz", "bk_scope_id": "2", "job_instance_id": 7}
    return Question(parameters={**named, "step_instance_id": 701, **more})


def logs(world: World, path: str, **more: Any) -> Any:
    return said(ask(world, path, about(**more)))["data"]


def test_v2_tells_all_logs_by_status_and_escapes_them() -> None:
    (step,) = logs(a_world(), V2)

    assert (step["step_instance_id"], step["is_finished"], step["status"]) == (
        701,
        True,
        4,
    )
    by_status = {each["ip_status"]: each["ip_logs"] for each in step["step_results"]}
    assert by_status.keys() == {9, 104, 310, 11}
    (log,) = by_status[104]
    assert (log["ip"], log["exit_code"], log["total_time"]) == ("10.0.0.2", 1, 5.0)
    assert log["start_time"] == "2024-05-20 09:00:10"
    assert "tar: &lt;stdin&gt;: write error &amp; exit" in log["log_content"]


def test_v3_tells_the_logs_of_the_hosts_that_are_named() -> None:
    data = logs(a_world(), V3_MANY, host_id_list=[102, 101])

    told = data.pop("script_task_logs")
    assert data == {"job_instance_id": 7, "step_instance_id": 701, "log_type": 1}
    assert [log["bk_host_id"] for log in told] == [101, 102]
    assert told[1].keys() == {"bk_host_id", "bk_cloud_id", "ip", "ipv6", "log_content"}
    assert told[1]["log_content"].endswith("& exit: No space left on device\n")


def test_the_bus_takes_hosts_by_address_as_well() -> None:
    named = [{"bk_cloud_id": 0, "ip": "10.0.0.3"}, {"bk_cloud_id": 3, "ip": "10.0.0.1"}]

    told = logs(a_world(), ESB_MANY, ip_list=named)["script_task_logs"]

    assert [log["ip"] for log in told] == ["10.0.0.3"]


def test_ids_win_over_addresses() -> None:
    named = [{"bk_cloud_id": 0, "ip": "10.0.0.3"}]

    told = logs(a_world(), V3_MANY, host_id_list=[101], ip_list=named)

    assert [log["bk_host_id"] for log in told["script_task_logs"]] == [101]


def test_v3_tells_one_log_by_the_id_of_the_host() -> None:
    assert logs(a_world(), V3_ONE, bk_host_id="102") == {
        "log_type": 1,
        "bk_host_id": 102,
        "bk_cloud_id": 0,
        "ip": "10.0.0.2",
        "log_content": "run script: begin on 10.0.0.2\n"
        "tar: <stdin>: write error & exit: No space left on device\n",
    }


def test_v3_tells_one_log_by_area_and_address() -> None:
    told = logs(a_world(), V3_ONE, bk_cloud_id="0", ip="10.0.0.4")

    assert told["bk_host_id"] == 104


def test_v4_tells_logs_by_execute_object() -> None:
    world = a_world("containers")

    of_host = logs(world, V4_MANY, host_id_list=[101])
    of_container = logs(world, V4_MANY, container_id_list=[5004])

    (host,) = of_host["script_step_execute_object_logs"]
    (container,) = of_container["script_step_execute_object_logs"]
    assert host["execute_object"]["host"]["ip"] == "10.0.0.1"
    assert container["execute_object"]["container"]["name"] == "app-3"
    assert "No space left" in container["log_content"]


def test_hosts_that_were_never_reached_have_no_log_and_are_missing() -> None:
    rows = tuple(
        Row(Host(ip=f"10.0.0.{n}", bk_host_id=n), status)
        for n, status in enumerate((9, 2, 18, 5), 1)
    )
    moment = Moment(status=4, steps=(Step(status=4, rows=rows),))
    world = World(clock=HandMovedClock())
    world.play(Story(name="x", timeline=dated([Frame(0, moment)])), job_instance_id=7)

    v3 = logs(world, V3_MANY, host_id_list=[1, 2, 3, 4])["script_task_logs"]
    v4 = logs(world, V4_MANY, host_id_list=[1, 2, 3, 4])

    assert [log["bk_host_id"] for log in v3] == [1]
    assert len(v4["script_step_execute_object_logs"]) == 1


def test_a_log_is_as_it_was_written() -> None:
    row = Row(Host(ip="10.0.0.1"), 104, log="<b>my own words</b>")

    assert output.text(Step(), row) == "<b>my own words</b>"


def test_a_file_step_has_logs_of_transfers() -> None:
    world = a_world("rolling_duplicates")

    v3 = logs(world, V3_MANY, host_id_list=[101, 102])
    v4 = logs(world, V4_MANY, host_id_list=[101])

    assert v3["log_type"] == 2
    told = [
        (log["file_logs"][0]["status"], log["file_logs"][0]["process"])
        for log in v3["file_task_logs"]
    ]
    assert told == [(5, "0%"), (4, "100%")]
    (log,) = v4["file_step_execute_object_logs"]
    (transfer,) = log["download_log"]
    assert (transfer["mode"], transfer["dest_execute_object"]) == (
        1,
        log["execute_object"],
    )


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [
        (V3_MANY, {"host_id_list": list(range(501))}, 1241007),
        (V3_MANY, {}, 1241007),
        (V3_MANY, {"host_id_list": []}, 1241007),
        (V3_MANY, {"ip_list": [{"ip": "10.0.0.1"}]}, 1241007),
        (V3_MANY, {"host_id_list": [1], "step_instance_id": 702}, 1244007),
        (V3_MANY, {"host_id_list": [1], "step_instance_id": None}, 1241007),
        (V3_ONE, {"bk_cloud_id": "0"}, 1241007),
        (V4_MANY, {"host_id_list": list(range(51))}, 1241007),
        (V4_MANY, {"host_id_list": [1], "step_instance_id": 702}, 1244007),
        (V4_MANY, {"host_id_list": [1], "job_instance_id": 8}, 1244006),
    ],
)
def test_what_cannot_be_looked_up_is_refused(
    path: str, more: dict[str, Any], code: int
) -> None:
    assert refusal(ask(a_world(), path, about(**more)))[1] == code


@pytest.mark.parametrize(("path", "most"), [(V3_MANY, 500), (V4_MANY, 50)])
def test_as_many_hosts_as_are_allowed_may_be_named(path: str, most: int) -> None:
    world = a_world(hosts=most)

    data = logs(world, path, host_id_list=list(range(101, 101 + most)))

    (told,) = (value for value in data.values() if isinstance(value, list))
    assert len(told) == most


async def test_many_logs_are_asked_for_by_post_alone() -> None:
    world = World()
    world.play("mixed_failure", job_instance_id=7, created=-3600)
    body = {**about().parameters, "host_id_list": [104]}

    async with calling(world) as caller:
        async with caller.session.post(caller.url + V4_MANY, json=body) as response:
            answer = await response.json()
        async with caller.session.get(caller.url + V4_MANY) as refused:
            assert refused.status == 404

    assert len(answer["data"]["script_step_execute_object_logs"]) == 1
    assert world.record.endpoints == {V4_MANY: 1}
