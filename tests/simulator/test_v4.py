"""The wording of v4: execute objects, and no null anywhere."""

from typing import Any

import msgspec

from monitor.simulator import scenarios, v4
from monitor.simulator.scenarios import Parts
from monitor.simulator.timeline import Moment
from monitor.simulator.wording import Wording


def at(name: str, seconds: float) -> Moment:
    moment = scenarios.story(name, Parts(hosts=2)).timeline.at(seconds)
    assert moment is not None
    return moment


def told(moment: Moment, *, rows: bool = True) -> Any:
    words = Wording(biz=2, job_instance_id=153, name="x", epoch=1716170400.0)
    return msgspec.json.decode(v4.data(moment, words, rows=rows))


def objects(name: str) -> list[dict[str, Any]]:
    (step,) = told(at(name, 10**6))["step_instance_list"]
    rows = step["step_execute_object_result_list"]
    return [row["execute_object"] for row in rows]


def test_a_host_is_an_execute_object_of_type_1() -> None:
    (step,) = told(at("one_ip_fails", 10**6))["step_instance_list"]

    assert step["step_execute_object_result_list"][1] == {
        "execute_object": {
            "type": 1,
            "resource_id": "102",
            "host": {"bk_host_id": 102, "bk_cloud_id": 0, "ip": "10.0.0.2"},
        },
        "status": 104,
        "tag": "",
        "exit_code": 1,
        "start_time": 1716170410000,
        "end_time": 1716170415000,
        "total_time": 5000,
    }


def test_a_container_is_an_execute_object_of_type_2() -> None:
    host, container = objects("containers")

    assert host["type"] == 1
    assert container == {
        "type": 2,
        "resource_id": "5002",
        "container": {
            "id": 5002,
            "container_id": f"docker://{5002:064x}",
            "name": "app-1",
            "node_host_id": 102,
        },
    }


def test_a_host_with_ipv6_alone_says_so() -> None:
    assert objects("ipv6")[0]["host"] == {
        "bk_host_id": 101,
        "bk_cloud_id": 0,
        "ipv6": "2001:db8::1",
    }


def test_rows_that_nobody_asked_for_or_that_do_not_exist_are_absent() -> None:
    unasked = told(at("one_ip_fails", 10**6), rows=False)["step_instance_list"][0]
    unborn = told(at("one_ip_fails", 0))["step_instance_list"][0]

    assert "step_execute_object_result_list" not in {**unasked, **unborn}


def test_nothing_is_null() -> None:
    for frame in scenarios.story("retry_recovers").timeline.frames:
        assert frame.moment is not None
        assert "null" not in msgspec.json.encode(told(frame.moment)).decode()
