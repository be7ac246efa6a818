"""How much is asked, as a decision on what is known."""

from msgspec import structs

from monitor.core import asking
from monitor.core.asking import MANY, Depth, Outline
from monitor.core.model import host_id
from tests.core.builders import hosts, job, step

RUNNING = job(2, step(2, hosts(_1=7)))
OUTLINE = asking.outline(RUNNING)


def chosen(
    known: Outline | None = OUTLINE,
    *,
    since_hosts: float = 0.0,
    early: float = 30.0,
    confirmed: bool = False,
) -> Depth:
    return asking.depth(
        known, since_hosts=since_hosts, early=early, confirmed=confirmed
    )


def test_at_first_sight_hosts_are_asked_for() -> None:
    assert chosen(None) is Depth.HOSTS


def test_while_nothing_moves_the_job_alone_is_asked_for() -> None:
    assert chosen(since_hosts=29) is Depth.LIGHT


def test_early_failures_are_looked_for_while_a_step_runs() -> None:
    waiting = asking.outline(job(7, step(7, {})))

    assert chosen(since_hosts=30) is Depth.HOSTS
    assert chosen(waiting, since_hosts=30) is Depth.LIGHT
    assert chosen(since_hosts=1e9, early=0) is Depth.LIGHT


def test_a_vast_step_is_counted_instead() -> None:
    many = {
        host_id(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0): 7 for n in range(MANY + 1)
    }
    vast = asking.outline(job(2, step(2, many)))

    assert chosen(vast, since_hosts=30) is Depth.GROUPS
    assert chosen(vast, since_hosts=29) is Depth.LIGHT


def test_an_end_is_confirmed_with_hosts_once() -> None:
    ended = asking.outline(job(4, step(4, hosts(_1=104))))

    assert chosen(ended) is Depth.HOSTS
    assert chosen(ended, since_hosts=1e9, confirmed=True) is Depth.LIGHT


def test_a_job_a_step_or_an_attempt_that_moves_is_seen_without_hosts() -> None:
    same = job(2, step(2, {}))
    attempt = job(2, structs.replace(step(2, {}), execute_count=1))

    assert not OUTLINE.moved(same)
    assert OUTLINE.moved(job(4, step(2, {})))
    assert OUTLINE.moved(job(2, step(4, {})))
    assert OUTLINE.moved(attempt)
    assert OUTLINE.moved(job(2))


def test_a_job_that_runs_without_a_step_that_does_is_between_two() -> None:
    assert asking.between_steps(asking.outline(job(2, step(1, {}))))
    assert not asking.between_steps(OUTLINE)
    assert not asking.between_steps(asking.outline(job(7, step(7, {}))))
