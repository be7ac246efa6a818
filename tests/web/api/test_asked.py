"""Bodies and pages as every resource reads them."""

import io
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec import Struct

from monitor import errors
from monitor.web import control as server
from monitor.web.api import asked, operation
from tests.support import control


class Note(Struct):
    comment: str
    hours: int = 1


async def echo(request: web.Request) -> web.Response:
    return asked.answer(await asked.body(request, Note))


async def fail(_: web.Request) -> web.Response:
    raise errors.StoreError("the store failed: disk full")


OPERATIONS = [
    operation.post("/api/v1/notes", echo, "Echo a note.", Note, body=Note),
    operation.get("/api/v1/fails", fail, "Fail.", None),
]


async def sent(tmp_path: Path, **more: Any) -> control.Answer:
    async with control.serving(tmp_path, OPERATIONS) as path:
        return await control.ask(path, "POST", "/notes", **more)


async def test_a_body_is_decoded_into_what_is_wanted(tmp_path: Path) -> None:
    answer = await sent(tmp_path, json={"comment": "back at 五"})

    assert (answer.status, answer.body) == (200, {"comment": "back at 五", "hours": 1})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "the body: Input data was truncated"),
        (b"[]", "the body: Expected `object`, got `array`"),
        (b"{}", "missing required field `comment`"),
        (b'{"comment": 1}', "Expected `str`, got `int` - at `$.comment`"),
        (b'{"comment": "\xff"}', "the body: "),
        (b"[" * 100_000, "the body: "),
    ],
)
async def test_a_body_of_another_shape_is_a_problem_that_names_the_place(
    tmp_path: Path, body: bytes, said: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await sent(tmp_path, data=body, headers=headers)

    assert answer.status == 400
    assert said in answer.body["detail"]


async def test_only_json_is_read(tmp_path: Path) -> None:
    answer = await sent(tmp_path, data={"comment": "a form"})

    assert answer.status == 415


async def test_a_body_is_bounded(tmp_path: Path) -> None:
    body = io.BytesIO(b'{"comment": "' + b"x" * server.BODY_MAX + b'"}')
    answer = await sent(
        tmp_path, data=body, headers={"Content-Type": "application/json"}
    )

    assert answer.status == 413


async def test_a_store_that_fails_is_said_to(tmp_path: Path) -> None:
    async with control.serving(tmp_path, OPERATIONS) as path:
        answer = await control.ask(path, "GET", "/fails")

    assert answer.status == 503
    assert answer.body["detail"] == "the store failed: disk full"


@pytest.mark.parametrize("place", [[1, "a"], [], "x", ["作业", True, -3]])
def test_a_place_is_read_as_it_was_written(place: Any) -> None:
    assert asked.read_place(asked.place_text(place), Any) == place
