from monitor.simulator.timeline import (
    FAILED,
    REFUSED,
    RUNNING,
    SUCCESS,
    WAITING,
    WAITING_USER,
    Frame,
    Moment,
    Step,
    dated,
    paced,
)


def a_moment(job: int, step: int, count: int = 0) -> Moment:
    return Moment(status=job, steps=(Step(status=step, execute_count=count),))


def times(moment: Moment | None) -> list[tuple[float | None, float | None]]:
    assert moment is not None
    things: list[Moment | Step] = [moment, *moment.steps]
    return [(thing.started, thing.ended) for thing in things]


def test_a_state_holds_from_its_second_on() -> None:
    line = dated(paced([a_moment(1, 1), a_moment(2, 2), None], beat=5))

    seen = [line.at(second) for second in (-1, 0, 4.9, 5, 9.9, 10, 10**9)]

    statuses = [moment.status if moment else None for moment in seen]
    assert statuses == [1, 1, 1, 2, 2, None, None]


def test_the_start_is_written_when_the_thing_first_moves() -> None:
    waiting = a_moment(WAITING, WAITING)
    line = dated(paced([waiting, a_moment(RUNNING, RUNNING)], beat=5))

    assert times(line.at(0)) == [(None, None), (None, None)]
    assert times(line.at(5)) == [(5, None), (5, None)]


def test_the_end_is_written_once() -> None:
    done = a_moment(SUCCESS, SUCCESS)
    line = dated(paced([a_moment(RUNNING, RUNNING), done, done], beat=5))

    assert times(line.at(10)) == [(0, 5), (0, 5)]


def test_a_retry_clears_the_end_only_once_the_step_runs_again() -> None:
    line = dated(
        paced(
            [
                a_moment(RUNNING, RUNNING),
                a_moment(FAILED, FAILED),
                a_moment(RUNNING, FAILED, count=1),
                a_moment(RUNNING, RUNNING, count=1),
                a_moment(SUCCESS, SUCCESS, count=1),
            ],
            beat=5,
        )
    )

    assert [times(line.at(second)) for second in (5, 10, 15, 20)] == [
        [(0, 5), (0, 5)],
        [(0, 5), (0, 5)],
        [(0, None), (0, None)],
        [(0, 20), (0, 20)],
    ]


def test_a_restarted_confirmation_keeps_the_old_end_of_the_job() -> None:
    line = dated(
        paced(
            [
                a_moment(WAITING_USER, WAITING_USER),
                a_moment(REFUSED, REFUSED),
                a_moment(WAITING_USER, WAITING_USER),
            ],
            beat=5,
        )
    )

    assert times(line.at(10)) == [(0, 5), (0, None)]


def test_what_has_begun_is_all_frames_up_to_now() -> None:
    line = dated([Frame(0, a_moment(2, 2)), Frame(3, None), Frame(9, None)])

    assert [frame.at for frame in line.until(4)] == [0, 3]
