"""Beats as somebody hears them who waits for them."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from monitor import clock, errors
from monitor.sinks import catalogue
from monitor.sinks.catalogue import SinkConfig
from tests.sinks.messages import an_event
from tests.sinks.receiver import Receiver, answering, receiving


def config(**more: Any) -> SinkConfig:
    given = {"name": "watchdog", "kind": "heartbeat", **more}
    return TypeAdapter[SinkConfig](SinkConfig).validate_python(given)


def opened(receiver: Receiver, **more: Any) -> Any:
    nearby = {"url": receiver.url, "allow_networks": ["127.0.0.0/8"]}
    return catalogue.opened(config(**nearby, **more), now=clock.utc_now)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_beat_is_a_request_without_a_word_in_it(method: str) -> None:
    seen = []

    async def answer(request: Any) -> Any:
        seen.append((request.method, request.path))
        return await answering(200)(request)

    async with (
        receiving(answer) as receiver,
        opened(receiver, method=method, headers={"X-Token": "t0ken"}) as sink,
    ):
        await sink.deliver(an_event())

    assert seen == [(method, "/hook")]
    assert receiver.deliveries[0].body == b""
    assert receiver.deliveries[0].headers["x-token"] == "t0ken"


@pytest.mark.parametrize("status", [302, 401, 404, 429, 500])
async def test_whatever_is_answered_the_next_beat_is_tried(status: int) -> None:
    async with (
        receiving(answering(status, "no", Location="http://127.0.0.1/")) as receiver,
        opened(receiver) as sink,
    ):
        with pytest.raises(errors.Undelivered):
            await sink.deliver(an_event())

    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"send": ["alerts"]}, "send"),
        ({"match": ["a=b"]}, "leave out match"),
        ({"fallback": "mail"}, "leave out match and fallback"),
        ({"every": "1s"}, "between 5s and 1d"),
        ({"every": "60"}, "no unit"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        config(url="https://hc.example.com/x", **given)
