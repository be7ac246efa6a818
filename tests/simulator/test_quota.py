"""Quotas: counted in fixed windows, and told in the words of each door."""

import msgspec
import pytest

from monitor.simulator.quota import Meter, Quota, Ration
from monitor.simulator.world import World
from tests.simulator.asking import calling
from tests.simulator.voices import (
    ESB_V2,
    ESB_V3,
    GATEWAY_V3,
    GATEWAY_V4,
    STATUSES,
    HandMovedClock,
    about,
    ask,
    refusal,
    said,
)


def test_a_window_begins_with_a_call_and_gives_the_whole_quota_back_at_its_end() -> (
    None
):
    meter, quota = Meter(), Quota(limit=2, window=10)

    granted = [meter.take(quota, "a", now).granted for now in (3, 4, 5, 12.9, 13, 14)]

    assert granted == [True, True, False, False, True, True]


def test_what_is_left_is_told_with_each_call() -> None:
    meter, quota = Meter(), Quota(limit=2, window=10)

    rations = [meter.take(quota, "a", now) for now in (0, 4, 9.8)]

    assert rations == [
        Ration(limit=2, remaining=1, reset=10, granted=True),
        Ration(limit=2, remaining=0, reset=6, granted=True),
        Ration(limit=2, remaining=0, reset=0, granted=False),
    ]


def test_each_app_has_a_quota_of_its_own() -> None:
    meter, quota = Meter(), Quota(limit=1, window=10)

    assert [meter.take(quota, app, 0).granted for app in "aab"] == [True, False, True]


@pytest.mark.parametrize("path", [GATEWAY_V3, GATEWAY_V4])
def test_the_gateway_tells_the_quota_on_every_answer(path: str) -> None:
    world = World(clock=HandMovedClock(), quota=Quota(limit=2, window=10))
    world.play("success", job_instance_id=7)

    answers = [ask(world, path, about(identifier)) for identifier in (7, 8, 7)]

    assert [answer.status == 429 for answer in answers] == [False, False, True]
    assert refusal(answers[2]) == (429, 1642902)
    assert answers[2].headers["X-Bkapi-Error-Code"] == "1642902"
    for answer, remaining in zip(answers, "100", strict=True):
        assert answer.headers["X-Bkapi-RateLimit-Limit"] == "2"
        assert answer.headers["X-Bkapi-RateLimit-Remaining"] == remaining
        assert answer.headers["X-Bkapi-RateLimit-Reset"] == "10"
        assert answer.headers["X-Bkapi-RateLimit-Plugin"] == "bk-stage-rate-limit"
    assert "Retry-After" not in answers[2].headers


@pytest.mark.parametrize(
    ("path", "window", "words"),
    [
        (ESB_V2, 60, "[/v2/job/get_job_instance_status/] exceeds the limit"),
        (ESB_V3, 60, "[/v2/jobv3/get_job_instance_status/] exceeds the limit"),
        (ESB_V3, 60, "frequency limit is [1/1minute]"),
        (ESB_V2, 5, "frequency limit is [1/5second]"),
    ],
)
def test_the_bus_says_it_in_a_sentence_and_without_headers(
    path: str, window: float, words: str
) -> None:
    world = World(clock=HandMovedClock(), quota=Quota(limit=1, window=window))
    world.play("success", job_instance_id=7)

    granted, beyond = (ask(world, path, about()) for _ in range(2))

    assert said(granted)["result"] is True
    assert refusal(beyond) == (200, 1306429)
    assert words in said(beyond)["message"]
    assert not [name for name in granted.headers if "RateLimit" in name]


def test_the_window_is_of_the_client_s_time_whatever_the_speed() -> None:
    clock = HandMovedClock()
    world = World(clock=clock, speed=1000, quota=Quota(limit=1, window=1))
    world.play("success", job_instance_id=7)

    assert ask(world, GATEWAY_V4, about()).status == 200
    clock.reading += 0.9
    assert ask(world, GATEWAY_V4, about()).status == 429
    clock.reading += 0.1
    assert ask(world, GATEWAY_V4, about()).status == 200


def test_all_doors_draw_from_the_same_quota() -> None:
    world = World(clock=HandMovedClock(), quota=Quota(limit=3, window=1))
    world.play("success", job_instance_id=7)

    answers = [ask(world, path, about()) for path in STATUSES]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert world.record.throttled == 1


async def test_a_quota_is_set_and_lifted_from_outside() -> None:
    world = World()
    world.play("success", job_instance_id=7)

    async with calling(world) as caller:
        put = await caller.control("PUT", "quota", {"limit": 1, "window": 60})
        codes = [(await caller.ask((2, 7)))["code"] for _ in range(2)]
        status, counts = await caller.control("GET", "requests")
        async with caller.session.put(
            f"{caller.url}/_simulator/quota", data=msgspec.json.encode(None)
        ) as response:
            lifted = await response.json()
        again = (await caller.ask((2, 7)))["code"]

    assert put == (200, {"limit": 1, "window": 60})
    assert codes == [0, 1306429]
    assert (status, counts["throttled"]) == (200, 1)
    assert (lifted, again) == (None, 0)
