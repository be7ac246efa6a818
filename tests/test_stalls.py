"""A loop that does not answer is told of, counted, and looked at meanwhile."""

import inspect
import re
import threading
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from monitor import stalls
from monitor.stalls import TICK, Stalls
from tests.e2e.waiting import until

SHORT, NEVER = 0.05, 3600.0


def test_silence_is_a_stall_once_a_tick_is_late_by_the_limit() -> None:
    late = [stalls.stalled(TICK + extra, 0.5) for extra in (0, 0.4, 0.75, 60)]

    assert late == pytest.approx([0, 0, 0.75, 60])


def test_a_place_is_a_file_a_line_and_a_function_and_never_a_value() -> None:
    password = "open sesame"

    found = list(stalls.places(inspect.currentframe()))

    assert re.fullmatch(r"\S*/test_stalls\.py:\d+ test_a_place_\w+", found[0])
    assert password not in " ".join(found)


def hold_up(condition: Callable[[], object]) -> None:
    """Block the thread, and with it the loop, until *condition*."""
    while not condition():
        threading.Event().wait(0.001)


def linger(condition: Callable[[], object]) -> None:
    hold_up(condition)


def at(function: Callable[..., object], lines: list[EventDict]) -> list[EventDict]:
    """List what is told of the loop while it was there: others may hold it up too."""
    return [x for x in lines if any(_is_in(place, function) for place in x["frames"])]


def _is_in(place: str, function: Callable[..., object]) -> bool:
    return place.endswith(f" {function.__name__}")


async def blocked(watched: Stalls, function: Callable[..., object]) -> None:
    """Let *function* block the loop until it was seen there."""
    _, before = watched.found
    function(lambda: any(_is_in(place, function) for place in watched.found[1]))
    assert before != watched.found[1]


async def test_a_loop_that_is_blocked_is_told_of_with_where_it_was() -> None:
    with capture_logs() as lines:
        async with stalls.watching(SHORT, NEVER, 0) as watched:
            await blocked(watched, hold_up)
            await until(lambda: bool(at(hold_up, lines)), "the stall is told of")

    [line] = at(hold_up, lines)
    assert (line["event"], line["log_level"]) == ("loop.stalled", "warning")
    assert line["seconds"] >= SHORT
    assert len(line["frames"]) <= stalls.FRAMES
    assert watched.seen.count >= 1
    assert watched.seen.sum >= line["seconds"] - 0.001


async def test_one_that_does_not_come_back_is_told_of_while_it_lasts() -> None:
    with capture_logs() as lines:
        async with stalls.watching(NEVER, SHORT, 0):
            hold_up(lambda: at(hold_up, lines))

    [line] = at(hold_up, lines)
    assert (line["event"], line["log_level"]) == ("loop.hanging", "error")


async def test_where_the_loop_was_belongs_to_one_stall_alone() -> None:
    with capture_logs() as lines:
        async with stalls.watching(SHORT, NEVER, 0) as watched:
            await blocked(watched, linger)
            await until(lambda: bool(at(linger, lines)), "the first is told of")
            hold_up(lambda: not any(_is_in(p, linger) for p in watched.found[1]))
            await until(lambda: len(at(hold_up, lines)) == 2, "the second as well")

    assert len(at(linger, lines)) == 1


async def test_nobody_watches_when_the_block_is_over() -> None:
    async with stalls.watching():
        during = watchers()
    await until(lambda: not watchers(), "the thread ends")

    assert during == 1


def watchers() -> int:
    return len([thread for thread in threading.enumerate() if thread.name == "stalls"])
