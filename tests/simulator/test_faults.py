from random import Random
from typing import Any

import msgspec
import pytest

from monitor.simulator.answer import Answer, Ending
from monitor.simulator.faults import Fault, Name, Switchboard, spoil

TRUE_BODY = b'{"result":true,"data":{"job_instance":{"job_instance_id":153}}}'
TRUTH = Answer(body=TRUE_BODY)


def spoilt(name: str, value: Any = None) -> Answer:
    return spoil(TRUTH, [Fault(name=Name(name), value=value)])


def unlucky() -> float:
    return 0.0


@pytest.mark.parametrize("name", Name)
def test_every_fault_has_a_default_and_leaves_an_answer(name: Name) -> None:
    assert isinstance(spoilt(name), Answer)


def test_latencies_add_up() -> None:
    faults = [Fault(name=Name.LATENCY, value=value) for value in (0.5, 2)]

    assert spoil(TRUTH, faults).wait == 2.5


def test_an_honest_truncation_is_half_a_body() -> None:
    assert spoilt("truncate") == Answer(body=TRUE_BODY[: len(TRUE_BODY) // 2])


def test_a_torn_truncation_leaves_the_cutting_to_the_connection() -> None:
    assert spoilt("truncate", "torn") == Answer(body=TRUE_BODY, ending=Ending.TORN)


@pytest.mark.parametrize(
    ("value", "status", "empty"),
    [(None, 503, False), (500, 500, False), ("504:empty", 504, True)],
)
def test_a_server_error_has_a_status_and_maybe_a_body(
    value: Any, status: int, *, empty: bool
) -> None:
    answer = spoilt("5xx", value)

    assert (answer.status, not answer.body) == (status, empty)


@pytest.mark.parametrize("status", [200, 502])
def test_a_page_is_html_whatever_its_status(status: int) -> None:
    answer = spoilt("html", status)

    assert answer.status == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.body.startswith(b"<html>")


def test_the_other_instance_is_the_next_one() -> None:
    assert spoilt("other_instance").body == TRUE_BODY.replace(b"153", b"154")


def test_an_oversize_body_grows_to_its_megabytes() -> None:
    answer = spoilt("oversize", 2)

    assert len(answer.body) + answer.padding == 2 * 2**20


@pytest.mark.parametrize("shape", ["data_list", "data_null", "blocks_object", "list"])
def test_a_wrong_shape_is_still_json(shape: str) -> None:
    assert msgspec.json.decode(spoilt("wrong_shape", shape).body) is not None


@pytest.mark.parametrize(
    "written",
    [
        {"name": "rain"},
        {"name": "5xx", "value": 404},
        {"name": "html", "value": "teapot"},
        {"name": "hang", "value": 3},
        {"name": "latency", "value": "soon"},
        {"name": "refuse", "chance": 1.5},
        {"name": "refuse", "sometimes": True},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(written, Fault)


def test_a_fault_strikes_within_its_window_alone() -> None:
    fault = Fault(name=Name.REFUSE, after=10, until=20)
    board = Switchboard([fault], since=100)

    struck = [bool(board.striking(now, unlucky)) for now in (109, 110, 119, 120)]

    assert struck == [False, True, True, False]


def test_a_window_begins_when_the_fault_is_switched_on() -> None:
    board = Switchboard()
    board.switch([Fault(name=Name.REFUSE, until=10)], now=50)

    assert board.striking(59, unlucky)
    assert not board.striking(60, unlucky)


def test_a_chance_is_kept_in_the_long_run() -> None:
    board = Switchboard([Fault(name=Name.REFUSE, chance=0.25)])
    luck = Random(7).random

    struck = sum(bool(board.striking(0, luck)) for _ in range(10_000))

    assert 2300 < struck < 2700


def test_a_chance_of_nothing_never_strikes() -> None:
    board = Switchboard([Fault(name=Name.REFUSE, chance=0)])

    assert not board.striking(0, unlucky)
