"""The hosts of one step, in groups by status and tag."""

from typing import Any

import pytest

from monitor.simulator.endpoints import GATEWAY
from monitor.simulator.question import Question
from monitor.simulator.scenarios import Parts
from monitor.simulator.world import World
from tests.simulator.voices import HandMovedClock, ask, refusal, said

GROUPS = f"{GATEWAY}/api/v3/get_step_instance_status"


def a_world(name: str, hosts: int = 6, created: float = -3600) -> World:
    world = World(clock=HandMovedClock())
    parts = Parts(hosts=hosts)
    world.play(name, job_instance_id=7, created=created, parts=parts)
    return world


def about(**more: Any) -> Question:
    named = {"bk_scope_type": "biz", "bk_scope_id": "2", "job_instance_id": 7}
    return Question(parameters={**named, "step_instance_id": "701", **more})


def step(world: World, **more: Any) -> Any:
    return said(ask(world, GROUPS, about(**more)))["data"]


def sizes(told: Any) -> dict[int, tuple[int, list[str] | None]]:
    return {
        group["result_type"]: (
            group["host_size"],
            group["host_result_list"]
            and [host["ip"] for host in group["host_result_list"]],
        )
        for group in told.get("step_result_group_list", [])
    }


def test_hosts_are_counted_by_status_and_the_first_few_are_named() -> None:
    told = step(a_world("mixed_failure"), max_host_num_per_group="1")

    assert (told["status"], told["execute_count"], told["type"]) == (4, 0, 1)
    assert sizes(told) == {
        9: (3, ["10.0.0.1"]),
        11: (1, ["10.0.0.6"]),
        104: (1, ["10.0.0.4"]),
        310: (1, ["10.0.0.5"]),
    }


def test_a_host_is_told_with_its_ipv6() -> None:
    told = step(a_world("ipv6", hosts=1), max_host_num_per_group="1")

    (group,) = told["step_result_group_list"]
    (host,) = group["host_result_list"]
    assert host == {
        "bk_host_id": 101,
        "ip": None,
        "ipv6": "2001:db8::1",
        "bk_agent_id": "0:101",
        "bk_cloud_id": 0,
        "bk_cloud_name": "Default Area",
        "status": 104,
        "status_desc": "Script exit code is not zero",
        "tag": "",
        "exit_code": 1,
        "start_time": 1716166810000,
        "end_time": 1716166815000,
        "total_time": 5000,
    }


def test_with_a_status_named_the_other_groups_have_only_their_size() -> None:
    told = step(a_world("mixed_failure"), status="104")

    assert sizes(told)[104] == (1, ["10.0.0.4"])
    assert sizes(told)[9] == (3, None)


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"search_ip": "0.0.4"}, {104: (1, ["10.0.0.4"])}),
        ({"keyword": "No space"}, {104: (1, ["10.0.0.4"])}),
        ({"keyword": "no such words"}, {}),
    ],
)
def test_hosts_are_searched_by_address_or_log(
    more: dict[str, str], found: dict[int, Any]
) -> None:
    assert sizes(step(a_world("mixed_failure"), **more)) == found


def test_older_attempts_can_still_be_asked_for() -> None:
    world = a_world("retry_recovers", hosts=2)

    assert sizes(step(world)) == {9: (2, ["10.0.0.1", "10.0.0.2"])}
    old = step(world, execute_count="0")
    assert (old["execute_count"], old["status"]) == (0, 4)
    assert sizes(old) == {9: (1, ["10.0.0.1"]), 104: (1, ["10.0.0.2"])}


def test_in_the_window_of_a_retry_there_are_no_groups() -> None:
    told = step(a_world("retry_recovers", created=-25))

    assert told["execute_count"] == 1
    assert "step_result_group_list" not in told


@pytest.mark.parametrize(
    ("batch", "found"),
    [
        ({}, {9: (2, ["10.0.0.3", "10.0.0.4"])}),
        ({"batch": "1"}, {9: (1, ["10.0.0.2"]), 104: (1, ["10.0.0.1"])}),
        ({"batch": "0"}, None),
    ],
)
def test_of_a_rolling_step_only_the_latest_batch_is_told_unless_asked(
    batch: dict[str, str], found: dict[int, Any] | None
) -> None:
    told = sizes(step(a_world("rolling_ignore", hosts=4), **batch))

    if found is None:
        assert {status: size for status, (size, _) in told.items()} == {9: 3, 104: 1}
    else:
        assert told == found


@pytest.mark.parametrize(
    ("name", "more", "code"),
    [
        ("manual_confirm", {"step_instance_id": "702"}, 1241003),
        ("success", {"step_instance_id": "702"}, 1244007),
        ("success", {"execute_count": "1"}, 1244007),
        ("containers", {}, 1240002),
    ],
)
def test_a_step_that_cannot_be_told_is_refused(
    name: str, more: dict[str, str], code: int
) -> None:
    assert refusal(ask(a_world(name), GROUPS, about(**more))) == (200, code)
