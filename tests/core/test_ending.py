import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from monitor.core import codes, ending, transitions
from monitor.core.codes import Meaning
from monitor.core.ending import Condition, Ending, Goal
from monitor.core.model import Failure, Snapshot, host_id
from tests.core.builders import STEPS, hosts, job, step

SUCCEEDED, FAILED, GONE, REFUSED, LOST, RUNNING = Ending

conditions = st.builds(Condition, st.sampled_from(Goal), st.booleans())
endings = st.lists(st.sampled_from(Ending), min_size=1, max_size=6)

OF_ONE = {
    (Goal.FINISHED, SUCCEEDED): 0,
    (Goal.FINISHED, FAILED): 1,
    (Goal.SUCCESS, SUCCEEDED): 0,
    (Goal.SUCCESS, FAILED): 1,
    (Goal.FAILED, SUCCEEDED): 1,
    (Goal.FAILED, FAILED): 0,
}


@pytest.mark.parametrize("any_", [False, True])
@pytest.mark.parametrize("goal", Goal)
@pytest.mark.parametrize("how", Ending)
def test_of_one_instance_the_ending_is_the_exit_code(
    how: Ending,
    goal: Goal,
    any_: bool,  # noqa: FBT001 - a case, not a switch
) -> None:
    otherwise = {GONE: 6, REFUSED: 4, LOST: 5, RUNNING: 3}
    expected = OF_ONE.get((goal, how), otherwise.get(how))

    assert ending.exit_code(Condition(goal, any_), [how]) == expected


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([SUCCEEDED, RUNNING], 3),
        ([RUNNING, LOST], 5),
        ([RUNNING, LOST, REFUSED], 4),
        ([RUNNING, LOST, REFUSED, GONE], 6),
        ([RUNNING, LOST, REFUSED, GONE, FAILED], 1),
    ],
)
def test_of_all_the_most_final_reason_counts(found: list[Ending], code: int) -> None:
    assert ending.exit_code(Condition(Goal.SUCCESS), found) == code


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([FAILED, SUCCEEDED], 0),
        ([FAILED], 1),
        ([FAILED, GONE], 6),
        ([FAILED, GONE, REFUSED], 4),
        ([FAILED, GONE, REFUSED, LOST], 5),
        ([FAILED, GONE, REFUSED, LOST, RUNNING], 3),
    ],
)
def test_of_any_the_most_open_reason_counts(found: list[Ending], code: int) -> None:
    assert ending.exit_code(Condition(Goal.SUCCESS, any_=True), found) == code


def test_the_first_of_any_to_finish_decides_also_by_ending_badly() -> None:
    first = Condition(Goal.FINISHED, any_=True)

    assert ending.decided(first, [RUNNING, FAILED])
    assert ending.exit_code(first, [RUNNING, FAILED]) == 1
    assert not ending.decided(first, [RUNNING, GONE, LOST])


def test_to_finish_is_to_see_all_to_their_end() -> None:
    found = [FAILED, GONE, REFUSED, LOST, RUNNING]

    assert not ending.decided(Condition(Goal.FINISHED), found)
    assert ending.decided(Condition(Goal.FINISHED), found[:-1])


@pytest.mark.parametrize(
    ("goal", "how"), [(Goal.SUCCESS, FAILED), (Goal.FAILED, SUCCEEDED)]
)
def test_all_cannot_get_there_once_one_has_ended_otherwise(
    goal: Goal, how: Ending
) -> None:
    assert ending.decided(Condition(goal), [RUNNING, how])
    assert ending.exit_code(Condition(goal), [RUNNING, how]) == 1


@given(conditions, endings, st.sampled_from(Ending))
def test_once_decided_what_still_runs_cannot_turn_it(
    condition: Condition, found: list[Ending], later: Ending
) -> None:
    assume(ending.decided(condition, found))
    assume(not (condition.any_ and condition.goal is Goal.FINISHED))

    final = [later if how is RUNNING else how for how in found]

    met = ending.exit_code(condition, found) == 0
    assert (ending.exit_code(condition, final) == 0) is met


@given(conditions, endings)
def test_three_is_said_only_while_something_runs(
    condition: Condition, found: list[Ending]
) -> None:
    assume(RUNNING not in found)

    assert ending.exit_code(condition, found) != 3


@pytest.mark.parametrize("code", codes.RUNS.values(), ids=str)
def test_every_finished_status_is_well_or_not(code: codes.Code) -> None:
    expected = RUNNING
    if code.finished:
        expected = SUCCEEDED if code.meaning is Meaning.SUCCEEDED else FAILED

    assert ending.of(Snapshot(status=code.number)) is expected


def test_a_host_that_failed_in_two_steps_is_one_failed_host_at_its_worst() -> None:
    host = host_id("10.0.0.1", 0)
    seen = transitions.merged(
        None,
        job(4, step(4, {host: 11}), step(4, {host: 104}, number=STEPS[1])),
    )

    assert ending.failed_hosts(seen) == {host: Failure(104, 0)}
    assert ending.hosts(seen) == {host}


def test_hosts_that_wait_or_run_are_unfinished() -> None:
    seen = job(9, step(9, hosts(_1=9, _2=5, _3=7, _4=403)))

    assert ending.unfinished_hosts(seen) == {*hosts(_2=5, _3=7)}
