"""Stories of one instance, and every event that they must leave behind."""

from monitor.core import model
from tests.core import plain
from tests.core.builders import POOL, STEPS, hosts, job, step
from tests.core.lives import Act, Turn, lived


def told(*acts: Act) -> list[list[str]]:
    """List the events of each act, one line for each event."""
    return [plain.lines(chapter.events) for chapter in lived(acts)]


FAILED = job(4, step(4, hosts(_1=9, _2=104)))
FIRST_SIGHT_OF_FAILED = [
    "instance.appeared →4",
    "instance.finished →4",
    "hosts.failed attempt 0 10.0.0.2=104",
    "alert.raised hosts_failed critical 1/2",
    "alert.raised job_failed critical",
]


def test_a_plain_success_is_told_without_a_single_alert() -> None:
    assert told(
        job(1, step(1)),
        job(2, step(2, hosts(_1=5, _2=5))),
        job(2, step(2, hosts(_1=9, _2=7))),
        job(3, step(3, hosts(_1=9, _2=9))),
        job(3, step(3, hosts(_1=9, _2=9))),
    ) == [
        ["instance.appeared →1"],
        [
            "instance.changed 1→2",
            "step.changed 1→2 attempt 0",
            "hosts.changed attempt 0 2×5",
        ],
        ["hosts.changed attempt 0 1×7 1×9"],
        [
            "instance.finished 2→3",
            "step.changed 2→3 attempt 0",
            "hosts.changed attempt 0 2×9",
        ],
        [],
    ]


def test_an_instance_first_seen_failed_is_told_at_once() -> None:
    assert told(FAILED, FAILED) == [FIRST_SIGHT_OF_FAILED, []]


def test_a_retry_is_followed_through_the_window_of_the_empty_list() -> None:
    assert told(
        FAILED,
        job(2, step(4, attempt=1)),
        job(2, step(2, hosts(_1=9, _2=5), attempt=1)),
        job(3, step(3, hosts(_1=9, _2=9), attempt=1)),
    ) == [
        FIRST_SIGHT_OF_FAILED,
        [
            "instance.reopened 4→2",
            "step.retried 4→4 attempt 1",
        ],
        [
            "step.changed 4→2 attempt 1",
            "hosts.changed attempt 1 1×5 1×9",
        ],
        [
            "instance.finished 2→3",
            "step.changed 2→3 attempt 1",
            "hosts.recovered attempt 1 10.0.0.2=9",
            "alert.resolved hosts_failed critical 1/2",
            "alert.resolved job_failed critical",
        ],
    ]


def test_a_host_that_fails_again_in_a_later_attempt_is_told_again() -> None:
    assert told(FAILED, job(4, step(4, hosts(_1=9, _2=104), attempt=1))) == [
        FIRST_SIGHT_OF_FAILED,
        [
            "step.retried 4→4 attempt 1",
            "hosts.failed attempt 1 10.0.0.2=104",
            "alert.changed hosts_failed critical 1/2",
            "alert.changed job_failed critical",
        ],
    ]


def test_a_torn_answer_in_a_retry_is_not_taken_for_another_failed_end() -> None:
    torn = job(4, step(4, hosts(), attempt=1))
    failed_again = job(4, step(4, hosts(_1=9, _2=104), attempt=1))

    assert told(FAILED, torn, failed_again) == [
        FIRST_SIGHT_OF_FAILED,
        ["step.retried 4→4 attempt 1"],
        [
            "hosts.failed attempt 1 10.0.0.2=104",
            "alert.changed hosts_failed critical 1/2",
            "alert.changed job_failed critical",
        ],
    ]


def test_a_retry_that_was_not_seen_running_tells_of_the_recovery_all_the_same() -> None:
    assert told(FAILED, job(3, step(3, hosts(_1=9, _2=9), attempt=1))) == [
        FIRST_SIGHT_OF_FAILED,
        [
            "instance.finished 4→3",
            "step.retried 4→3 attempt 1",
            "hosts.recovered attempt 1 10.0.0.2=9",
            "alert.resolved hosts_failed critical 1/2",
            "alert.resolved job_failed critical",
        ],
    ]


def test_a_correction_within_one_attempt_is_a_change_and_no_recovery() -> None:
    assert told(
        job(2, step(2, hosts(_1=7, _2=11))),
        job(2, step(2, hosts(_1=7, _2=9))),
    ) == [
        [
            "instance.appeared →2",
            "hosts.failed attempt 0 10.0.0.2=11",
            "alert.raised hosts_failed critical 1/2",
        ],
        [
            "hosts.changed attempt 0 1×7 1×9",
            "alert.resolved hosts_failed critical 1/2",
        ],
    ]


def test_a_host_in_no_row_of_the_later_attempt_stays_failed() -> None:
    assert told(
        job(4, step(4, hosts(_1=104, _2=104))),
        job(3, step(3, hosts(_1=9), attempt=1)),
    )[1] == [
        "instance.finished 4→3",
        "step.retried 4→3 attempt 1",
        "hosts.recovered attempt 1 10.0.0.1=9",
        "alert.changed hosts_failed critical 1/2",
        "alert.resolved job_failed critical",
    ]


def test_ignored_errors_do_not_hide_failed_hosts_in_a_successful_job() -> None:
    assert told(
        job(2, step(2, hosts(_1=7, _2=7))),
        job(3, step(6, hosts(_1=9, _2=104))),
    )[1] == [
        "instance.finished 2→3",
        "step.changed 2→6 attempt 0",
        "hosts.failed attempt 0 10.0.0.2=104",
        "hosts.changed attempt 0 1×9 1×104",
        "alert.raised hosts_failed warning 1/2",
    ]


def test_a_host_in_two_rolling_batches_counts_once_with_its_worst_status() -> None:
    first, second = POOL[:2]
    rows = model.rows([(first, 9), (second, 9), (first, 11), (second, 9)])

    assert told(job(4, step(4, rows)))[0][2:4] == [
        "hosts.failed attempt 0 10.0.0.1=11",
        "alert.raised hosts_failed critical 1/2",
    ]


def test_a_rolling_step_goes_on_after_a_batch_with_ignored_errors() -> None:
    story = told(
        job(2, step(6, hosts(_1=104))),
        job(2, step(15, hosts(_1=104))),
        job(2, step(2, hosts(_1=104, _2=5))),
    )

    assert [[line for line in look if "alert" not in line] for look in story] == [
        ["instance.appeared →2", "hosts.failed attempt 0 10.0.0.1=104"],
        ["step.changed 6→15 attempt 0"],
        ["step.changed 15→2 attempt 0", "hosts.changed attempt 0 1×5 1×104"],
    ]


def test_a_refused_confirmation_may_be_asked_again() -> None:
    assert told(
        job(7, step(7)),
        job(13, step(13)),
        job(7, step(7)),
        job(3, step(3)),
    ) == [
        ["instance.appeared →7", "alert.raised job_waiting warning"],
        [
            "instance.finished 7→13",
            "step.changed 7→13 attempt 0",
            "alert.raised job_failed warning",
            "alert.resolved job_waiting warning",
        ],
        [
            "instance.reopened 13→7",
            "step.changed 13→7 attempt 0",
            "alert.raised job_waiting warning",
        ],
        [
            "instance.finished 7→3",
            "step.changed 7→3 attempt 0",
            "alert.resolved job_failed warning",
            "alert.resolved job_waiting warning",
        ],
    ]


def test_another_failed_end_of_a_job_changes_its_alert() -> None:
    assert told(job(4), job(2), job(11))[1:] == [
        ["instance.reopened 4→2"],
        ["instance.finished 2→11", "alert.changed job_failed warning"],
    ]


def test_unknown_codes_are_told_raw_and_fail_nobody_but_their_hosts() -> None:
    assert told(job(99, step(98, hosts(_1=77, _2=9))), job(2)) == [
        [
            "instance.appeared →99",
            "hosts.failed attempt 0 10.0.0.1=77",
            "alert.raised hosts_failed critical 1/2",
        ],
        ["instance.changed 99→2"],
    ]


def test_an_instance_that_is_gone_leaves_what_held_as_it_was() -> None:
    assert told(FAILED, Turn.GONE, Turn.GONE) == [
        FIRST_SIGHT_OF_FAILED,
        ["instance.gone 4→", "alert.raised job_gone warning"],
        [],
    ]


def test_an_instance_may_be_gone_before_it_was_ever_seen() -> None:
    assert told(Turn.GONE, job(2)) == [
        ["instance.gone", "alert.raised job_gone warning"],
        ["instance.appeared →2", "alert.resolved job_gone warning"],
    ]


def test_an_instance_that_was_gone_and_is_seen_again_appears_again() -> None:
    assert told(FAILED, Turn.GONE, job(2, step(2, hosts(_1=9, _2=5), attempt=1)))[
        2
    ] == [
        "instance.appeared →2",
        "hosts.failed attempt 1 10.0.0.2=104",
        "alert.resolved job_gone warning",
    ]


def test_a_retired_instance_ends_its_alerts_as_unwatched() -> None:
    assert told(FAILED, Turn.RETIRED)[1] == [
        "alert.resolved hosts_failed critical 1/2 (unwatched)",
        "alert.resolved job_failed critical (unwatched)",
    ]


def test_a_watch_removed_and_added_again_tells_what_holds_and_nothing_twice() -> None:
    assert told(FAILED, Turn.REMOVED, FAILED)[2] == [
        "alert.raised hosts_failed critical 1/2",
        "alert.raised job_failed critical",
    ]


def test_a_watch_added_again_for_an_instance_still_gone_says_so() -> None:
    assert told(job(2), Turn.GONE, Turn.REMOVED, Turn.GONE)[2:] == [
        ["alert.resolved job_gone warning (unwatched)"],
        ["alert.raised job_gone warning"],
    ]


def test_a_second_step_begins_and_fails_on_its_own() -> None:
    done = step(3, hosts(_1=9))
    assert told(
        job(2, done, step(1, number=STEPS[1])),
        job(4, done, step(4, hosts(_1=310), number=STEPS[1])),
    )[1] == [
        "instance.finished 2→4",
        "step.changed 1→4 attempt 0",
        "hosts.failed attempt 0 10.0.0.1=310",
        "alert.raised hosts_failed critical 1/1",
        "alert.raised job_failed critical",
    ]
