"""The wording of v3, which the bus and the gateway share."""

from typing import Any

import msgspec
import pytest

from monitor.simulator import scenarios, v3
from monitor.simulator.refusal import Refused
from monitor.simulator.scenarios import Parts
from monitor.simulator.story import Flavour
from monitor.simulator.timeline import Host, Moment, Row, Step
from monitor.simulator.wording import Wording

EPOCH = 1716170400.0


def at(name: str, seconds: float) -> Moment:
    moment = scenarios.story(name, Parts(hosts=2)).timeline.at(seconds)
    assert moment is not None
    return moment


def told(moment: Moment, *, rows: bool = True, **how: Any) -> Any:
    words = Wording(
        **{"biz": 2, "job_instance_id": 153, "name": "x", **how}, epoch=EPOCH
    )
    return msgspec.json.decode(v3.data(moment, words, rows=rows))


def test_an_instance_is_told_in_milliseconds_with_its_rows() -> None:
    assert told(at("one_ip_fails", 10**6)) == {
        "finished": True,
        "job_instance": {
            "bk_biz_id": 2,
            "bk_scope_type": "biz",
            "bk_scope_id": "2",
            "job_instance_id": 153,
            "status": 4,
            "name": "x",
            "create_time": 1716170400000,
            "start_time": 1716170405000,
            "end_time": 1716170420000,
            "total_time": 15000,
        },
        "step_instance_list": [
            {
                "step_instance_id": 15301,
                "name": "run script",
                "status": 4,
                "type": 1,
                "execute_count": 0,
                "create_time": 1716170400000,
                "start_time": 1716170410000,
                "end_time": 1716170420000,
                "total_time": 10000,
                "step_ip_result_list": [
                    {
                        "bk_host_id": 101,
                        "ip": "10.0.0.1",
                        "bk_cloud_id": 0,
                        "status": 9,
                        "tag": "",
                        "exit_code": 0,
                        "error_code": 0,
                        "start_time": 1716170410000,
                        "end_time": 1716170415000,
                        "total_time": 5000,
                    },
                    {
                        "bk_host_id": 102,
                        "ip": "10.0.0.2",
                        "bk_cloud_id": 0,
                        "status": 104,
                        "tag": "",
                        "exit_code": 1,
                        "error_code": 0,
                        "start_time": 1716170410000,
                        "end_time": 1716170415000,
                        "total_time": 5000,
                    },
                ],
            }
        ],
    }


def test_rows_that_nobody_asked_for_are_null() -> None:
    (step,) = told(at("one_ip_fails", 10**6), rows=False)["step_instance_list"]

    assert step["step_ip_result_list"] is None


def test_rows_that_do_not_exist_yet_are_an_empty_list() -> None:
    said = told(at("one_ip_fails", 0))

    assert said["step_instance_list"][0]["step_ip_result_list"] == []
    assert (said["job_instance"]["start_time"], said["finished"]) == (None, False)


def test_a_running_host_has_no_exit_code_and_the_115_of_gse() -> None:
    (step,) = told(at("one_ip_fails", 10))["step_instance_list"]
    row = step["step_ip_result_list"][0]

    assert (row["exit_code"], row["error_code"], row["end_time"]) == (None, 115, None)


def test_a_host_that_succeeded_keeps_its_times_through_a_retry() -> None:
    before, after = (
        told(at("retry_recovers", second))["step_instance_list"][0]
        for second in (20, 40)
    )

    assert after["execute_count"] == before["execute_count"] + 1
    first = [each["step_ip_result_list"][0]["end_time"] for each in (before, after)]
    second = [each["step_ip_result_list"][1]["end_time"] for each in (before, after)]
    assert first == [1716170415000, 1716170415000]
    assert second == [1716170415000, 1716170440000]


def test_a_container_breaks_the_answer_only_if_rows_are_asked_for() -> None:
    moment = at("containers", 10**6)

    with pytest.raises(Refused, match="1240002"):
        told(moment)
    assert told(moment, rows=False)["job_instance"]["status"] == 4


def test_a_host_with_ipv6_alone_has_no_ip() -> None:
    (step,) = told(at("ipv6", 10**6))["step_instance_list"]

    rows = [(r["ip"], r["bk_host_id"]) for r in step["step_ip_result_list"]]
    assert rows == [(None, 101), (None, 102)]
    assert "ipv6" not in step["step_ip_result_list"][0]


def test_what_a_row_was_given_wins_over_what_is_common() -> None:
    row = Row(Host(ip="10.0.0.1"), 104, "disk_full", 28, 7)
    moment = Moment(status=4, steps=(Step(status=4, rows=(row,)),))

    (step,) = told(moment)["step_instance_list"]
    (said,) = step["step_ip_result_list"]

    codes = (said["tag"], said["exit_code"], said["error_code"])
    assert codes == ("disk_full", 28, 7)


def test_a_scope_is_echoed_by_type_and_id() -> None:
    job = told(at("success", 0), biz=1, kind="tenant_set")["job_instance"]

    assert (job["bk_scope_type"], job["bk_scope_id"]) == ("tenant_set", "1")


def test_an_old_server_knows_neither_scopes_nor_host_ids() -> None:
    said = told(at("one_ip_fails", 10**6), flavour=Flavour.LEGACY)

    assert "bk_scope_type" not in said["job_instance"]
    row = said["step_instance_list"][0]["step_ip_result_list"][0]
    assert "bk_host_id" not in row


def test_between_batches_the_step_has_an_end_and_the_job_runs() -> None:
    seen = [
        (said["job_instance"]["status"], step["status"], step["end_time"])
        for said in (
            told(at("rolling_ignore", second)) for second in (5, 10, 15, 20, 25)
        )
        for step in said["step_instance_list"]
    ]

    assert seen == [
        (2, 2, None),
        (2, 6, 1716170410000),
        (2, 15, 1716170410000),
        (2, 2, None),
        (3, 6, 1716170425000),
    ]
