import pytest

from monitor.simulator.retry import NotRetryableError, retried
from monitor.simulator.timeline import Host, Moment, Row, Step

GOOD, BAD = Host(ip="10.0.0.1"), Host(ip="10.0.0.2")


def failed(status: int) -> Moment:
    rows = (Row(GOOD, 9), Row(BAD, 104))
    return Moment(status=status, steps=(Step(status=status, rows=rows),))


@pytest.mark.parametrize("status", [4, 9, 11])
def test_in_the_window_the_step_keeps_its_old_status_with_a_new_count(
    status: int,
) -> None:
    window = retried(failed(status))[0]

    assert window == Moment(
        status=2, steps=(Step(status=status, execute_count=1, rows=()),)
    )


def test_successful_hosts_are_carried_over() -> None:
    running = retried(failed(4))[1]

    assert running.steps[0].rows == (Row(GOOD, 9), Row(BAD, 5))


def test_a_failed_host_keeps_its_tag_and_batch_and_nothing_else() -> None:
    row = Row(BAD, 104, "disk_full", 28, 7, "no space", 2)
    moment = Moment(status=4, steps=(Step(status=4, rows=(row,)),))

    assert retried(moment)[1].steps[0].rows == (Row(BAD, 5, "disk_full", batch=2),)


def test_steps_that_never_began_succeed_with_the_retry() -> None:
    moment = failed(4)
    longer = Moment(status=4, steps=(*moment.steps, Step(name="later")))

    last = retried(longer)[-1]

    assert (last.status, [step.status for step in last.steps]) == (3, [3, 3])


@pytest.mark.parametrize("status", [1, 2, 3, 7, 10, 13])
def test_what_has_not_failed_is_not_retried(status: int) -> None:
    with pytest.raises(NotRetryableError, match=str(status)):
        retried(failed(status))
