"""Each built-in story, told as the statuses a client can see."""

import pytest

from monitor.simulator import scenarios
from monitor.simulator.scenarios import CATALOGUE, Parts
from monitor.simulator.timeline import FINISHED, Moment, Step

Seen = tuple[int, list[tuple[int, int, list[int]]]]


def moments(name: str, **parts: object) -> list[Moment | None]:
    story = scenarios.story(name, Parts(**{"hosts": 3, **parts}))  # type: ignore[arg-type]
    return [frame.moment for frame in story.timeline.frames]


def seen(moment: Moment | None) -> Seen | None:
    """Show (job, [(step, execute_count, statuses of rows)])."""
    if moment is None:
        return None
    return (
        moment.status,
        [
            (step.status, step.execute_count, [row.status for row in step.rows])
            for step in moment.steps
        ],
    )


def jobs(name: str) -> list[int | None]:
    """Show the statuses of the job, without repetitions."""
    statuses = [moment.status if moment else None for moment in moments(name)]
    return [
        status
        for status, before in zip(statuses, [0, *statuses], strict=False)
        if status != before
    ]


def test_success_goes_from_waiting_over_running_to_success() -> None:
    assert list(map(seen, moments("success"))) == [
        (1, [(1, 0, [])]),
        (2, [(1, 0, [5, 5, 5])]),
        (2, [(2, 0, [7, 7, 7])]),
        (2, [(2, 0, [9, 7, 9])]),
        (3, [(3, 0, [9, 9, 9])]),
    ]


def test_one_failed_host_is_seen_while_the_job_still_runs() -> None:
    assert list(map(seen, moments("one_ip_fails")[-2:])) == [
        (2, [(2, 0, [9, 7, 104])]),
        (4, [(4, 0, [9, 9, 104])]),
    ]


def test_mixed_failure_ends_in_three_ways() -> None:
    assert seen(moments("mixed_failure", hosts=4)[-1]) == (
        4,
        [(4, 0, [9, 104, 310, 11])],
    )


def test_a_retried_step_first_shows_an_empty_list() -> None:
    assert list(map(seen, moments("retry_recovers")[-5:])) == [
        (4, [(4, 0, [9, 9, 104])]),
        (2, [(4, 1, [])]),
        (2, [(2, 1, [9, 9, 5])]),
        (2, [(2, 1, [9, 9, 7])]),
        (3, [(3, 1, [9, 9, 9])]),
    ]


def test_each_state_of_the_retry_window_lasts_a_beat() -> None:
    frames = scenarios.story("retry_recovers", Parts(beat=7)).timeline.frames

    assert [frame.at for frame in frames] == [7 * n for n in range(len(frames))]


def test_an_ignored_error_leaves_a_failed_host_in_a_successful_job() -> None:
    assert seen(moments("ignore_error")[-1]) == (
        3,
        [(6, 0, [9, 9, 104]), (3, 0, [9, 9, 9])],
    )


def test_a_confirmation_is_refused_asked_again_and_given() -> None:
    assert jobs("manual_confirm") == [1, 2, 7, 13, 7, 3]
    assert seen(moments("manual_confirm")[-1]) == (3, [(3, 0, [9, 9, 9]), (3, 0, [])])


def test_a_force_stop_leaves_one_host_waiting_for_ever() -> None:
    assert jobs("force_stop") == [1, 2, 10, 11]
    assert seen(moments("force_stop")[-1]) == (11, [(11, 0, [403, 403, 5])])


def test_an_exception_of_the_engine_leaves_hosts_running_for_ever() -> None:
    assert seen(moments("abnormal")[-1]) == (9, [(9, 0, [9, 7, 9])])


def test_a_rolling_file_step_names_one_host_twice() -> None:
    last = moments("rolling_duplicates")[-1]

    assert last is not None
    assert [(row.host.ip, row.status) for row in last.steps[0].rows] == [
        ("10.0.0.1", 9),
        ("10.0.0.2", 9),
        ("10.0.0.3", 9),
        ("10.0.0.1", 11),
    ]


def test_a_rolling_step_waits_between_its_batches() -> None:
    assert list(map(seen, moments("rolling"))) == [
        (1, [(1, 0, [])]),
        (2, [(2, 0, [7])]),
        (2, [(15, 0, [9])]),
        (2, [(2, 0, [9, 7])]),
        (2, [(15, 0, [9, 9])]),
        (2, [(2, 0, [9, 9, 7])]),
        (3, [(3, 0, [9, 9, 9])]),
    ]


def test_a_failed_batch_is_ignored_and_the_next_one_goes_on() -> None:
    assert list(map(seen, moments("rolling_ignore")[1:5])) == [
        (2, [(2, 0, [7])]),
        (2, [(6, 0, [104])]),
        (2, [(15, 0, [104])]),
        (2, [(2, 0, [104, 7])]),
    ]


def test_an_archived_instance_ends_in_nothing() -> None:
    assert jobs("archived") == [1, 2, 3, None]


def test_a_hanging_instance_never_leaves_running() -> None:
    assert seen(moments("hang")[-1]) == (2, [(2, 0, [7, 7, 7])])


def test_an_old_server_waits_for_a_user() -> None:
    assert jobs("legacy_waiting") == [2, 7, 3]


def test_the_parts_choose_the_hosts_and_who_fails() -> None:
    last = moments("one_ip_fails", hosts=("10.1.0.1", "3:10.1.0.2"), failing=(0,))[-1]

    assert last is not None
    assert [(row.host.address, row.status) for row in last.steps[0].rows] == [
        ("10.1.0.1", 104),
        ("3:10.1.0.2", 9),
    ]


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("hosts", [1, 2, 6])
def test_every_story_can_be_told_of_any_number_of_hosts(name: str, hosts: int) -> None:
    for moment in moments(name, hosts=hosts):
        assert moment is None or moment.steps


@pytest.mark.parametrize("name", CATALOGUE)
def test_in_every_story_what_is_finished_has_an_end_after_its_start(name: str) -> None:
    told = [moment for moment in moments(name) if moment]
    things: list[Moment | Step] = [*told, *(s for moment in told for s in moment.steps)]

    for thing in things:
        if thing.status in FINISHED:
            assert thing.started is not None
            assert thing.ended is not None
            assert thing.started <= thing.ended


@pytest.mark.parametrize("name", CATALOGUE)
def test_in_every_story_the_execute_count_never_falls(name: str) -> None:
    counts = [
        [step.execute_count for step in moment.steps]
        for moment in moments(name)
        if moment
    ]

    assert counts == sorted(counts)
