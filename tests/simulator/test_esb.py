"""What the bus and JOB say, before any socket: a question in, an answer out."""

from typing import Any

import msgspec
import pytest

from monitor.simulator import esb
from monitor.simulator.answer import Answer
from monitor.simulator.credentials import Credentials
from monitor.simulator.esb import Question
from monitor.simulator.faults import Fault, Name
from monitor.simulator.story import Canned, Flavour
from monitor.simulator.world import World

WANTED = Credentials(app_code="monitor", app_secret="s3cret", username="admin")
OFFERED = {
    "bk_app_code": "monitor",
    "bk_app_secret": "s3cret",
    "bk_username": "admin",
}


class HandMovedClock:
    def __init__(self) -> None:
        self.reading = 1000.0

    def __call__(self) -> float:
        return self.reading


@pytest.fixture
def clock() -> HandMovedClock:
    return HandMovedClock()


def a_world(clock: HandMovedClock, **more: Any) -> World:
    return World(clock=clock, **more)


def about(job_instance_id: object = 7, biz: object = 2, **more: Any) -> Question:
    parameters = {"bk_biz_id": biz, "job_instance_id": job_instance_id, **more}
    return Question(parameters=parameters)


def said(answer: Answer) -> Any:
    assert answer.status == 200
    return msgspec.json.decode(answer.body)


def refused(world: World, question: Question) -> tuple[int, str]:
    answer = said(esb.answer(world, question))
    assert answer["result"] is False
    assert answer["data"] is None
    return answer["code"], answer["message"]


def test_a_known_instance_is_told_in_an_envelope(clock: HandMovedClock) -> None:
    world = a_world(clock)
    world.play("success", job_instance_id=7)

    answer = said(esb.answer(world, about(7)))

    assert (answer["result"], answer["code"], answer["message"]) == (True, 0, "")
    assert answer["data"]["job_instance"]["job_instance_id"] == 7


def test_only_the_request_ids_differ_while_nothing_happens(
    clock: HandMovedClock,
) -> None:
    world = a_world(clock)
    world.play("success", job_instance_id=7)

    first, second = (said(esb.answer(world, about(7))) for _ in range(2))

    differing = {key for key in first if first[key] != second[key]}
    assert differing == {"request_id", "job_request_id"}


def test_the_document_knows_no_job_request_id(clock: HandMovedClock) -> None:
    world = a_world(clock, flavour=Flavour.DOCUMENT)
    world.play("success", job_instance_id=7)

    assert "job_request_id" not in said(esb.answer(world, about(7)))


def test_time_in_the_world_is_the_clock_times_the_speed(clock: HandMovedClock) -> None:
    world = a_world(clock, speed=10)
    world.play("success", job_instance_id=7)

    clock.reading += 2

    answer = said(esb.answer(world, about(7)))
    assert answer["data"]["is_finished"] is True
    assert answer["data"]["job_instance"]["end_time"] == "2024-05-20 10:00:20"


@pytest.mark.parametrize(("biz", "identifier"), [(2, 8), (3, 7)])
def test_unknown_ids_and_other_businesses_are_told_the_same(
    clock: HandMovedClock, biz: int, identifier: int
) -> None:
    world = a_world(clock)
    world.play("success", biz=2, job_instance_id=7)

    assert refused(world, about(identifier, biz)) == (
        1244006,
        "Task instance does not exist",
    )


def test_an_archived_instance_does_not_exist_any_more(clock: HandMovedClock) -> None:
    world = a_world(clock)
    world.play("archived", job_instance_id=7)
    assert said(esb.answer(world, about(7)))["result"] is True

    clock.reading += 3600

    assert refused(world, about(7))[0] == 1244006


@pytest.mark.parametrize("identifier", [None, "seven", ""])
def test_an_id_that_is_no_number_is_an_illegal_parameter(
    clock: HandMovedClock, identifier: object
) -> None:
    assert refused(a_world(clock), about(identifier))[0] == 1241007


def test_the_scope_wins_over_the_business(clock: HandMovedClock) -> None:
    world = a_world(clock)
    world.play("success", biz=2, job_instance_id=7)

    question = about(7, biz=99, bk_scope_type="biz", bk_scope_id="2")

    assert said(esb.answer(world, question))["result"] is True


def test_a_forbidden_business_says_what_to_apply_for(clock: HandMovedClock) -> None:
    world = a_world(clock)
    world.forbidden.add(2)

    answer = said(esb.answer(world, about(7)))

    (action,) = answer["permission"]["actions"]
    (resource,) = action["related_resource_types"]
    assert (answer["code"], action["id"]) == (9900403, "view_history")
    assert resource["instances"][0][0]["id"] == "2"


@pytest.mark.parametrize("missing", OFFERED)
def test_each_credential_that_is_wanted_is_needed(
    clock: HandMovedClock, missing: str
) -> None:
    world = a_world(clock, credentials=WANTED)

    code, message = refused(world, about(7, **{**OFFERED, missing: "wrong"}))

    assert code == 1306000
    assert message.startswith("User authentication failed")


def test_a_header_is_as_good_as_the_body(clock: HandMovedClock) -> None:
    world = a_world(clock, credentials=WANTED)
    header = msgspec.json.encode(OFFERED).decode()
    question = Question(parameters=about(7).parameters, authorization=header)

    assert refused(world, question)[0] == 1244006


@pytest.mark.parametrize("header", ["{", "[]", "{}"])
def test_a_header_without_credentials_lets_nobody_in(
    clock: HandMovedClock, header: str
) -> None:
    world = a_world(clock, credentials=WANTED)
    question = Question(parameters=about(7).parameters, authorization=header)

    assert refused(world, question)[0] == 1306000


def test_credentials_are_never_printed() -> None:
    assert "s3cret" not in repr(WANTED)


@pytest.mark.parametrize(
    ("name", "value", "code", "excerpt"),
    [
        (Name.THROTTLE, None, 1306429, "exceeds the limit"),
        (Name.EXPIRED, None, 1306000, "User authentication failed"),
        (Name.EXPIRED, "access_token", 1306000, "has expired"),
        (Name.INTERNAL_ERROR, None, 1240002, "Internal Server Error"),
    ],
)
def test_some_faults_are_words_of_the_bus(
    clock: HandMovedClock, name: Name, value: str | None, code: int, excerpt: str
) -> None:
    world = a_world(clock)
    world.play("success", job_instance_id=7)
    world.switch([Fault(name=name, value=value)])

    answered, message = refused(world, about(7))

    assert answered == code
    assert excerpt in message


def test_the_faults_of_one_instance_spare_the_others(clock: HandMovedClock) -> None:
    world = a_world(clock)
    ill = world.play("success", job_instance_id=7)
    world.play("success", job_instance_id=8)
    world.switch([Fault(name=Name.INTERNAL_ERROR)], on=ill)

    assert refused(world, about(7))[0] == 1240002
    assert said(esb.answer(world, about(8)))["result"] is True


def test_a_canned_answer_goes_out_as_it_stands(clock: HandMovedClock) -> None:
    world = a_world(clock)
    canned = Canned(status=418, headers={"X-Tea": "yes"}, body=b"\x00\xff")
    world.play(canned, job_instance_id=7)

    assert esb.answer(world, about(7)) == Answer(
        status=418, headers={"X-Tea": "yes"}, body=b"\x00\xff"
    )


def test_equal_seeds_have_equal_luck(clock: HandMovedClock) -> None:
    def answers(seed: int) -> list[bytes]:
        world = a_world(clock, seed=seed)
        world.play("flapping_internal_error", job_instance_id=7)
        return [esb.answer(world, about(7)).body for _ in range(20)]

    assert answers(1) == answers(1)
    assert answers(1) != answers(2)


def test_shuffled_rows_come_in_another_order_each_time(clock: HandMovedClock) -> None:
    world = a_world(clock)
    world.play("shuffled", job_instance_id=7)
    clock.reading += 3600

    def order() -> list[str]:
        data = said(esb.answer(world, about(7)))["data"]
        (block,) = data["blocks"]
        return [row["ip"] for row in block["step_instances"][0]["step_ip_status"]]

    orders = [order() for _ in range(10)]

    assert len({tuple(each) for each in orders}) > 1
    assert len({frozenset(each) for each in orders}) == 1


def test_ids_are_given_out_without_collision(clock: HandMovedClock) -> None:
    world = a_world(clock)
    world.play("success", job_instance_id=20000154)

    given = [world.play("success").job_instance_id for _ in range(3)]

    assert given == [20000153, 20000155, 20000156]
