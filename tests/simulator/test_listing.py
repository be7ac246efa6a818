"""The list of instances, within the limits of v3 and of v4."""

from typing import Any

import pytest

from monitor.simulator.endpoints import GATEWAY
from monitor.simulator.question import Question
from monitor.simulator.scenarios import Parts
from monitor.simulator.story import Launch
from monitor.simulator.timeline import FINISHED
from monitor.simulator.world import World
from tests.simulator.voices import HandMovedClock, ask, refusal, said

V3 = f"{GATEWAY}/api/v3/get_job_instance_list"
V4 = f"{GATEWAY}/api/v4/get_job_instance_list"
ESB = "/api/c/compapi/v2/jobv3/get_job_instance_list/"
ALL = pytest.mark.parametrize("path", [ESB, V3, V4])

EPOCH_MS = 1716170400000
DAY_MS = 24 * 3600 * 1000


def a_world() -> World:
    return World(clock=HandMovedClock())


def wanting(**more: Any) -> Question:
    parameters = {
        "bk_scope_type": "biz",
        "bk_scope_id": "2",
        "create_time_start": str(EPOCH_MS - DAY_MS),
        "create_time_end": str(EPOCH_MS + DAY_MS),
        **more,
    }
    return Question(parameters=parameters)


def rows(world: World, path: str, **more: Any) -> list[dict[str, Any]]:
    data = said(ask(world, path, wanting(**more)))["data"]
    listed: list[dict[str, Any]] = data["job_instance_list" if "v4" in path else "data"]
    return listed


def ids(world: World, path: str, **more: Any) -> list[int]:
    return [row["job_instance_id"] for row in rows(world, path, **more)]


def test_a_row_of_v3_has_the_names_of_the_code() -> None:
    world = a_world()
    launch = Launch(plan_id=1001, template_id=501, operator="amy", name="nightly")
    world.play("success", job_instance_id=7, created=-60, launch=launch)

    answer = said(ask(world, V3, wanting()))

    assert answer["data"] == {
        "start": 0,
        "length": 20,
        "total": 1,
        "data": [
            {
                "bk_biz_id": 2,
                "bk_scope_type": "biz",
                "bk_scope_id": "2",
                "job_instance_id": 7,
                "job_plan_id": 1001,
                "job_template_id": 501,
                "name": "nightly",
                "operator": "amy",
                "launch_mode": 2,
                "status": 3,
                "start_time": EPOCH_MS - 55000,
                "end_time": EPOCH_MS - 40000,
                "total_time": 15000,
                "create_time": EPOCH_MS - 60000,
                "type": 0,
            }
        ],
    }


def test_a_row_of_v4_has_no_nulls_and_the_answer_no_total() -> None:
    world = a_world()
    world.play("success", job_instance_id=7)

    data = said(ask(world, V4, wanting()))["data"]

    assert data.keys() == {"job_instance_list"}
    (row,) = data["job_instance_list"]
    assert (row["status"], row["type"]) == (1, 1)
    assert not {"start_time", "end_time", "total_time"} & row.keys()


@ALL
def test_the_newest_comes_first_whatever_the_ids(path: str) -> None:
    world = a_world()
    for identifier, ago in ((1, 10), (2, 30), (3, 20)):
        world.play("hang", job_instance_id=identifier, created=-ago)

    assert ids(world, path) == [1, 3, 2]


@ALL
def test_the_window_is_of_the_time_of_creation(path: str) -> None:
    world = a_world()
    for seconds in range(5):
        world.play("hang", job_instance_id=1 + seconds, created=-seconds)

    window = {
        "create_time_start": str(EPOCH_MS - 3000),
        "create_time_end": str(EPOCH_MS - 1000),
    }

    assert ids(world, path, **window) == [2, 3, 4]


@pytest.mark.parametrize(("path", "first"), [(V3, "start"), (V4, "offset")])
def test_pages_cover_the_list_without_gap_or_overlap(path: str, first: str) -> None:
    world = a_world()
    for number in range(25):
        world.play("hang", job_instance_id=1 + number, created=-number)

    pages = [ids(world, path, **{first: str(at)}, length="10") for at in (0, 10, 20)]

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [each for page in pages for each in page] == list(range(1, 26))


def test_the_total_of_v3_counts_beyond_the_page() -> None:
    world = a_world()
    for number in range(25):
        world.play("hang", created=-number)

    assert said(ask(world, V3, wanting(length="2")))["data"]["total"] == 25


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (V3, {"length": "1001"}),
        (V3, {"length": "0"}),
        (V3, {"start": "-1"}),
        (V3, {"create_time_end": str(EPOCH_MS + 29 * DAY_MS + 1)}),
        (V3, {"create_time_end": str(EPOCH_MS - DAY_MS)}),
        (V3, {"create_time_start": ""}),
        (ESB, {"length": "1001"}),
        (V4, {"length": "201"}),
        (V4, {"offset": "10001"}),
        (V4, {"create_time_end": "now"}),
    ],
)
def test_what_goes_beyond_the_limits_is_an_illegal_parameter(
    path: str, more: dict[str, str]
) -> None:
    answer = ask(a_world(), path, wanting(**more))

    assert refusal(answer) == (400 if "v4" in path else 200, 1241007)


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (V3, {"length": "1000", "create_time_end": str(EPOCH_MS + 29 * DAY_MS)}),
        (V4, {"length": "200", "offset": "10000"}),
        (V4, {"create_time_end": str(EPOCH_MS + 90 * DAY_MS)}),
    ],
)
def test_what_is_just_within_the_limits_is_answered(
    path: str, more: dict[str, str]
) -> None:
    world = a_world()
    world.play("success")

    assert len(rows(world, path, **more)) == (0 if "offset" in more else 1)


@ALL
@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"name": "ight"}, [1]),
        ({"operator": "amy"}, [1, 2]),
        ({"operator": "am"}, []),
        ({"launch_mode": "3"}, [2]),
        ({"type": "0"}, [3]),
        ({"job_cron_id": "5"}, [2]),
        ({"status": "4"}, [3]),
        ({"operator": "amy", "status": "2"}, [1, 2]),
        ({"ip": "10.0.0.2"}, [3]),
        ({"job_instance_id": "2", "operator": "bob", "status": "4"}, [2]),
        ({"job_instance_id": "9"}, []),
    ],
)
def test_filters_narrow_the_list(
    path: str, more: dict[str, str], found: list[int]
) -> None:
    world = a_world()
    launches = [
        Launch(operator="amy", name="nightly", type=2),
        Launch(operator="amy", launch_mode=3, cron_id=5),
        Launch(operator="bob", plan_id=9),
    ]
    for number, launch in enumerate(launches):
        world.play(
            "one_ip_fails" if launch.operator == "bob" else "hang",
            job_instance_id=number + 1,
            created=-3600 - number,
            launch=launch,
            parts=Parts(hosts=2 if launch.operator == "bob" else 1),
        )

    assert ids(world, path, **more) == found


@ALL
def test_what_runs_has_a_duration_that_grows(path: str) -> None:
    clock = HandMovedClock()
    world = World(clock=clock)
    world.play("hang")
    seen = []

    for _ in range(3):
        clock.reading += 10
        (row,) = rows(world, path)
        seen.append((row["status"], row.get("end_time"), row["total_time"]))

    assert seen == [(2, None, 5000), (2, None, 15000), (2, None, 25000)]


@ALL
def test_what_is_archived_or_of_another_scope_is_not_listed(path: str) -> None:
    world = a_world()
    world.play("archived", job_instance_id=1, created=-3600)
    world.play("success", job_instance_id=2, biz=3)
    world.play("success", job_instance_id=3, biz=2, scope_type="tenant_set")
    world.play("success", job_instance_id=4)

    assert ids(world, path) == [4]


@ALL
def test_an_id_that_begins_anew_is_listed_once(path: str) -> None:
    world = a_world()
    world.play("archived", job_instance_id=1, created=-3600)
    world.play("hang", job_instance_id=1)

    assert ids(world, path) == [1]


@ALL
def test_a_retried_instance_is_listed_as_running(path: str) -> None:
    world = a_world()
    instance = world.play("one_ip_fails", created=-3600)
    assert rows(world, path)[0]["status"] == 4

    instance.retry(world.now(), beat=5)

    assert rows(world, path)[0]["status"] == 2


@ALL
def test_a_forbidden_scope_asks_for_access_alone(path: str) -> None:
    world = a_world()
    world.forbidden.add(2)

    answer = ask(world, path, wanting())

    told = said(answer)
    permission = told["error"]["data"] if "v4" in path else told["permission"]
    assert refusal(answer)[1] == 9900403
    assert [action["id"] for action in permission["actions"]] == ["access_business"]


@ALL
def test_the_list_says_what_the_status_says(path: str) -> None:
    clock = HandMovedClock()
    world = World(clock=clock)
    instances = [world.play(name) for name in ("success", "force_stop", "abnormal")]

    for _ in range(8):
        listed = {row["job_instance_id"]: row for row in rows(world, path)}
        for instance in instances:
            moment = instance.moment(world.now())
            assert moment is not None
            row = listed[instance.job_instance_id]
            assert row["status"] == moment.status
            assert (row.get("end_time") is not None) == (moment.status in FINISHED)
        clock.reading += 5


def test_ten_thousand_instances_are_listed_by_the_page() -> None:
    world = a_world()
    for number in range(10_000):
        world.play("hang", created=-number)

    last = said(ask(world, V3, wanting(start="9000", length="1000")))["data"]

    assert (last["total"], len(last["data"])) == (10_000, 1000)
    assert last["data"][-1]["create_time"] == EPOCH_MS - 9_999_000
