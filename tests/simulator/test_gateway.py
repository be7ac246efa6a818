"""What the gateway lets through, and how it refuses; v3 and v4, users and apps."""

import re
from typing import Any

import pytest
from msgspec.structs import replace

from monitor.simulator import gateway
from monitor.simulator.answer import Answer
from monitor.simulator.credentials import Credentials
from monitor.simulator.faults import Fault, Name
from monitor.simulator.question import Question
from monitor.simulator.world import World
from tests.simulator.voices import (
    GATEWAY_V3,
    GATEWAY_V4,
    SYSTEM_V3,
    SYSTEM_V4,
    HandMovedClock,
    about,
    ask,
    refusal,
    said,
)

WANTED = Credentials(app_code="monitor", app_secret="s3cret", username="admin")
APP = '{"bk_app_code":"monitor","bk_app_secret":"s3cret"}'
USER = '{"bk_app_code":"monitor","bk_app_secret":"s3cret","bk_username":"admin"}'
ALL = pytest.mark.parametrize("path", [GATEWAY_V3, GATEWAY_V4, SYSTEM_V3, SYSTEM_V4])


def a_world(**more: Any) -> World:
    world = World(clock=HandMovedClock(), **more)
    world.play("success", job_instance_id=7)
    return world


def with_header(header: str | None, **more: Any) -> Question:
    return replace(about(), authorization=header, **more)


def test_v3_answers_in_job_s_own_envelope() -> None:
    answer = said(ask(a_world(), GATEWAY_V3, about()))

    assert answer.keys() == {"code", "result", "job_request_id", "data"}
    assert (answer["code"], answer["result"]) == (0, True)


def test_v4_answers_with_data_alone() -> None:
    answer = said(ask(a_world(), GATEWAY_V4, about()))

    assert answer.keys() == {"data", "job_request_id"}


@ALL
def test_every_answer_has_ids_of_its_own(path: str) -> None:
    world = a_world()

    answers = [ask(world, path, about()) for _ in range(3)]

    ids = {answer.headers["X-Bkapi-Request-Id"] for answer in answers}
    ids |= {answer.headers["X-Bk-Job-Request-Id"] for answer in answers}
    assert len(ids) == 6
    assert {said(a)["job_request_id"] for a in answers} < ids


@ALL
def test_credentials_in_the_header_let_a_caller_in(path: str) -> None:
    answer = ask(a_world(credentials=WANTED), path, with_header(USER))

    assert "data" in said(answer)


@ALL
def test_credentials_in_the_query_do_not_count(path: str) -> None:
    query = {
        "bk_app_code": "monitor",
        "bk_app_secret": "s3cret",
        "bk_username": "admin",
    }

    answer = ask(a_world(credentials=WANTED), path, about(**query))

    assert refusal(answer) == (400, 1640001)
    assert answer.headers["X-Bkapi-Error-Code"] == "1640001"
    assert said(answer)["code_name"] == "INVALID_ARGS"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "app code cannot be empty"),
        ("{", "app code cannot be empty"),
        (USER.replace("s3cret", "x"), "bk_app_code or bk_app_secret is incorrect"),
        (APP, "user authentication failed"),
        ('{"access_token":"x"}', "access_token is invalid"),
    ],
)
def test_a_stranger_is_told_what_is_wrong(header: str | None, reason: str) -> None:
    answer = ask(a_world(credentials=WANTED), GATEWAY_V4, with_header(header))

    assert refusal(answer) == (400, 1640001)
    assert said(answer)["message"].startswith(f'Parameters error [reason="{reason}')


@pytest.mark.parametrize("path", [SYSTEM_V3, SYSTEM_V4])
@pytest.mark.parametrize(
    ("header", "username", "let_in"),
    [(APP, "amy", True), (USER, None, True), (APP, None, False)],
)
def test_an_app_names_its_user_in_a_header_of_its_own(
    path: str, header: str, username: str | None, *, let_in: bool
) -> None:
    question = with_header(header, username=username)

    answer = ask(a_world(credentials=WANTED), path, question)

    assert (answer.status == 200) is let_in
    if not let_in:
        assert refusal(answer) == (401, 1247002)
        assert "X-Bkapi-Error-Code" not in answer.headers


@ALL
def test_a_tenant_is_needed_where_there_are_tenants(path: str) -> None:
    world = a_world(tenant="blue")

    without = ask(world, path, about())
    other = ask(world, path, replace(about(), tenant="red"))
    right = ask(world, path, replace(about(), tenant="blue"))

    assert (without.status, without.body) == (401, b"")
    assert refusal(other)[1] == 1244006
    assert right.status == 200


def test_an_api_that_is_not_published_is_a_404_of_the_gateway() -> None:
    answer = gateway.no_api(a_world(), "GET", "/api/v3/x")

    assert refusal(answer) == (404, 1640401)
    assert said(answer)["code_name"] == "API_NOT_FOUND"


@ALL
def test_an_unknown_instance_is_refused_in_the_words_of_the_generation(
    path: str,
) -> None:
    answer = ask(a_world(), path, about(8))

    assert refusal(answer) == (404 if "v4" in path else 200, 1244006)
    if "v4" in path:
        assert said(answer)["error"]["code"] == "NOT_FOUND"


@ALL
@pytest.mark.parametrize(
    ("parameters", "v3", "v4"),
    [
        ({"bk_scope_type": "set"}, 1241007, 1241025),
        ({"bk_scope_id": "two"}, 1241007, 1241007),
        ({"job_instance_id": "2e7"}, 1241007, 1241007),
        ({"bk_scope_type": "biz_set"}, 1244006, 1244006),
        ({"bk_scope_id": "3"}, 1244006, 1244006),
    ],
)
def test_a_scope_that_is_none_is_refused(
    path: str, parameters: dict[str, str], v3: int, v4: int
) -> None:
    answer = ask(a_world(), path, about(**parameters))

    assert refusal(answer)[1] == (v4 if "v4" in path else v3)


def test_v4_does_not_take_a_business_for_a_scope() -> None:
    parameters = {"bk_biz_id": "2", "job_instance_id": "7"}

    assert ask(a_world(), GATEWAY_V3, Question(parameters=parameters)).status == 200
    answer = ask(a_world(), GATEWAY_V4, Question(parameters=parameters))
    assert refusal(answer) == (400, 1241025)


@ALL
def test_what_iam_refuses_comes_with_all_that_could_be_applied_for(path: str) -> None:
    world = a_world()
    world.forbidden.add(2)

    answer = ask(world, path, about())
    told = said(answer)
    permission = told["error"]["data"] if "v4" in path else told["permission"]

    assert refusal(answer) == (403 if "v4" in path else 200, 9900403)
    (action,) = permission["actions"]
    (resource,) = action["related_resource_types"]
    assert (permission["system_id"], action["id"]) == ("bk_job", "view_history")
    assert resource["instances"][0][0]["id"] == "2"
    if "v4" in path:
        assert told["error"]["code"] == "NO_PERMISSION"


def test_errors_speak_the_language_that_is_asked_for() -> None:
    question = replace(about(8), language="zh-cn")

    assert said(ask(a_world(), GATEWAY_V3, question))["message"] == "任务实例不存在"


@ALL
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(name=Name.THROTTLE), 429, 1642902),
        (Fault(name=Name.EXPIRED), 400, 1640001),
        (Fault(name=Name.EXPIRED, value="access_token"), 400, 1640001),
        (Fault(name=Name.SERVER_ERROR, value="502"), 502, 1650200),
        (Fault(name=Name.SERVER_ERROR, value="504"), 504, 1650401),
    ],
)
def test_some_faults_are_words_of_the_gateway(
    path: str, fault: Fault, status: int, code: int
) -> None:
    world = a_world()
    world.switch([fault])

    answer = ask(world, path, about())

    assert refusal(answer) == (status, code)
    assert answer.headers["X-Bkapi-Error-Code"] == str(code)


def test_a_throttled_caller_is_told_how_long() -> None:
    world = a_world()
    world.switch([Fault(name=Name.THROTTLE)])

    headers = ask(world, GATEWAY_V4, about()).headers

    told = {k: v for k, v in headers.items() if re.match("X-Bkapi-RateLimit", k)}
    assert told == {
        "X-Bkapi-RateLimit-Limit": "100",
        "X-Bkapi-RateLimit-Remaining": "0",
        "X-Bkapi-RateLimit-Reset": "1",
        "X-Bkapi-RateLimit-Plugin": "bk-stage-rate-limit",
    }


@pytest.mark.parametrize(
    ("path", "status"), [(GATEWAY_V3, 200), (GATEWAY_V4, 500), (SYSTEM_V4, 500)]
)
def test_an_internal_error_is_job_s_own(path: str, status: int) -> None:
    world = a_world()
    world.switch([Fault(name=Name.INTERNAL_ERROR)])

    assert refusal(ask(world, path, about())) == (status, 1240002)


def test_an_error_without_a_body_is_of_nobody() -> None:
    world = a_world()
    world.switch([Fault(name=Name.SERVER_ERROR, value="503:empty")])

    answer: Answer = ask(world, GATEWAY_V4, about())

    assert (answer.status, answer.body) == (503, b"")
