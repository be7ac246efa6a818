"""The wording of the v2 API, by the flavour of the server."""

from random import Random
from typing import Any

import msgspec

from monitor.simulator import scenarios, v2
from monitor.simulator.scenarios import Parts
from monitor.simulator.story import Flavour
from monitor.simulator.timeline import WAITING_USER, Moment

EPOCH = 1716170400.0  # 2024-05-20 10:00:00 in Shanghai


def the_end(name: str) -> Moment:
    moment = scenarios.story(name, Parts(hosts=2)).timeline.at(10**6)
    assert moment is not None
    return moment


def told(moment: Moment, *, biz: int = 2, **how: Any) -> Any:
    wording = v2.Wording(biz=biz, job_instance_id=153, name="x", epoch=EPOCH, **how)
    return msgspec.json.decode(v2.data(moment, wording))


def test_a_server_of_today_tells_it_so() -> None:
    said = told(the_end("one_ip_fails"))

    assert said == {
        "is_finished": True,
        "job_instance": {
            "job_instance_id": 153,
            "bk_biz_id": 2,
            "bk_scope_type": "biz",
            "bk_scope_id": "2",
            "bk_job_id": -1,
            "name": "x",
            "operator": "admin",
            "status": 4,
            "start_way": 2,
            "create_time": "2024-05-20 10:00:00",
            "start_time": "2024-05-20 10:00:05",
            "end_time": "2024-05-20 10:00:20",
            "total_time": 15.0,
            "current_step_instance_id": 15301,
        },
        "blocks": [
            {
                "step_instances": [
                    {
                        "step_instance_id": 15301,
                        "step_id": -1,
                        "name": "run script",
                        "type": 1,
                        "operator": "admin",
                        "status": 4,
                        "execute_count": 0,
                        "pause": None,
                        "create_time": "2024-05-20 10:00:00",
                        "start_time": "2024-05-20 10:00:10",
                        "end_time": "2024-05-20 10:00:20",
                        "total_time": 10.0,
                        "step_ip_status": [
                            {"ip": "10.0.0.1", "bk_cloud_id": 0, "status": 9},
                            {"ip": "10.0.0.2", "bk_cloud_id": 0, "status": 104},
                        ],
                    }
                ]
            }
        ],
    }


def test_before_the_start_there_are_no_times_no_rows_and_no_current_step() -> None:
    first = scenarios.story("success").timeline.frames[0].moment
    assert first is not None

    said = told(first)

    job = said["job_instance"]
    assert (job["start_time"], job["end_time"], job["total_time"]) == (None,) * 3
    assert job["current_step_instance_id"] == 0
    assert said["blocks"][0]["step_instances"][0]["step_ip_status"] == []


def test_the_document_counts_retries_and_prints_offsets() -> None:
    said = told(the_end("retry_recovers"), flavour=Flavour.DOCUMENT)

    (block,) = said["blocks"]
    (step,) = block["step_instances"]
    assert (block["type"], step["retry_count"]) == (1, 1)
    assert step["create_time"] == "2024-05-20 10:00:00 +0800"
    assert not {"execute_count", "pause"} & step.keys()
    assert not {"bk_scope_type", "bk_scope_id"} & said["job_instance"].keys()


def test_an_old_server_calls_a_waiting_job_finished() -> None:
    moment = Moment(status=WAITING_USER, steps=())

    assert told(moment, flavour=Flavour.LEGACY)["is_finished"] is True
    assert told(moment, flavour=Flavour.MODERN)["is_finished"] is False


def test_a_set_of_businesses_is_known_by_its_number() -> None:
    job = told(the_end("success"), biz=9991001)["job_instance"]

    assert (job["bk_scope_type"], job["bk_scope_id"]) == ("biz_set", "9991001")


def test_stringly_makes_every_integer_a_string() -> None:
    said = told(the_end("one_ip_fails"), stringly=True)

    job = said["job_instance"]
    row = said["blocks"][0]["step_instances"][0]["step_ip_status"][1]
    assert said["is_finished"] is True
    assert (job["status"], job["job_instance_id"]) == ("4", "153")
    assert row == {"ip": "10.0.0.2", "bk_cloud_id": "0", "status": "104"}


def test_shuffling_changes_the_order_of_rows_and_nothing_else() -> None:
    moment = scenarios.story("success", Parts(hosts=50)).timeline.at(10**6)
    assert moment is not None

    plain, shuffled = told(moment), told(moment, shuffle=Random(1).shuffle)

    rows = shuffled["blocks"][0]["step_instances"][0]["step_ip_status"]
    assert shuffled != plain
    rows.sort(key=lambda row: int(row["ip"].split(".")[-1]))
    assert shuffled == plain
