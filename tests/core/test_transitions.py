from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import codes, transitions
from monitor.core.model import Snapshot, Step
from monitor.core.transitions import Attempt, Kind, Transition
from tests.core import builders
from tests.core.builders import hosts, job, step
from tests.core.replay import essence, replayed

laws = settings(max_examples=60, deadline=None)

INSTANCE_KINDS = {Kind.CHANGED, Kind.FINISHED, Kind.REOPENED}


def looks(
    story: list[Snapshot],
) -> Iterator[tuple[Snapshot | None, Snapshot, Snapshot]]:
    """Give (before, answer, after) of each look."""
    before = None
    for answer in story:
        after = transitions.merged(before, answer)
        yield before, answer, after
        before = after


def steps(snapshot: Snapshot) -> dict[int, Step]:
    return {known.step_instance_id: known for known in snapshot.steps}


@laws
@given(builders.answers())
def test_equal_snapshots_give_no_transition(story: list[Snapshot]) -> None:
    for _, _, after in looks(story):
        assert transitions.between(after, after) == ()


@laws
@given(builders.answers())
def test_an_answer_that_comes_twice_changes_nothing_the_second_time(
    story: list[Snapshot],
) -> None:
    for _, answer, after in looks(story):
        assert transitions.merged(after, answer) == after


@laws
@given(builders.answers())
def test_replaying_the_transitions_over_before_gives_after(
    story: list[Snapshot],
) -> None:
    for before, _, after in looks(story):
        if before is not None:
            changes = transitions.between(before, after)

            assert replayed(before, changes) == essence(after)


@laws
@given(builders.answers(), st.data())
def test_the_order_of_ip_rows_is_noise(
    story: list[Snapshot], data: st.DataObject
) -> None:
    for before, answer, after in looks(story):
        again = transitions.merged(before, data.draw(builders.shuffled(answer)))

        assert again == after
        assert transitions.between(before, again) == transitions.between(before, after)


@laws
@given(builders.answers())
def test_one_look_gives_at_most_one_instance_event(story: list[Snapshot]) -> None:
    for before, _, after in looks(story):
        if before is not None:
            kinds = [change.kind for change in transitions.between(before, after)]
            moved = before.status != after.status

            assert len(INSTANCE_KINDS.intersection(kinds)) == int(moved)


@laws
@given(builders.answers())
def test_a_finished_instance_that_runs_again_is_reopened(
    story: list[Snapshot],
) -> None:
    for before, _, after in looks(story):
        if before is not None:
            changes = transitions.between(before, after)
            reopened = Transition(
                kind=Kind.REOPENED, before=before.status, after=after.status
            )

            assert (reopened in changes) == (before.finished and not after.finished)


@laws
@given(builders.answers())
def test_finished_is_said_whenever_a_finished_status_is_newly_seen(
    story: list[Snapshot],
) -> None:
    for before, _, after in looks(story):
        kinds = {change.kind for change in transitions.between(before, after)}
        new = before is None or before.status != after.status

        assert (Kind.FINISHED in kinds) == (after.finished and new)


@laws
@given(builders.answers())
def test_a_host_recovers_only_when_it_is_seen_successful_in_a_later_attempt(
    story: list[Snapshot],
) -> None:
    for before, answer, after in looks(story):
        for change in transitions.between(before, after):
            if change.kind is not Kind.HOSTS_RECOVERED:
                continue
            assert before is not None
            assert change.attempt is not None
            number = change.attempt.step_instance_id
            for host in change.hosts:
                failed_in = steps(before)[number].failures[host].execute_count
                assert failed_in < change.attempt.execute_count
                assert steps(answer)[number].hosts[host] in codes.HOSTS_SUCCEEDED


@laws
@given(builders.answers())
def test_a_host_in_no_row_keeps_its_last_known_status_and_is_stale(
    story: list[Snapshot],
) -> None:
    for before, answer, after in looks(story):
        for number, known in (steps(before) if before else {}).items():
            seen, kept = steps(answer).get(number), steps(after)[number]
            if seen is not None and seen.execute_count < known.execute_count:
                continue
            unseen = known.hosts.keys() - (seen.hosts.keys() if seen else set())
            assert unseen == kept.stale
            for host in unseen:
                assert known.hosts[host] == kept.hosts[host]
                assert known.failures.get(host) == kept.failures.get(host)


@laws
@given(builders.answers())
def test_what_is_known_of_a_host_and_its_failure_never_contradict(
    story: list[Snapshot],
) -> None:
    for _, _, after in looks(story):
        for known in after.steps:
            failed = {h for h, code in known.hosts.items() if codes.host_failed(code)}
            well = {h for h, code in known.hosts.items() if code in {3, 9}}

            assert failed <= known.failures.keys() <= known.hosts.keys() - well


@laws
@given(builders.answers())
def test_an_attempt_never_goes_back(story: list[Snapshot]) -> None:
    for before, _, after in looks(story):
        for number, known in (steps(before) if before else {}).items():
            assert steps(after)[number].execute_count >= known.execute_count


def test_a_lower_attempt_is_the_past_and_tells_nothing() -> None:
    known = transitions.merged(None, job(2, step(2, hosts(_1=5), attempt=1)))
    lagging = job(2, step(4, hosts(_1=104), attempt=0))

    assert transitions.merged(known, lagging) == known


def test_the_outcome_stays_while_the_job_runs_again() -> None:
    failed = transitions.merged(None, job(4))

    assert transitions.merged(failed, job(2)).outcome == 4
    assert transitions.merged(failed, job(3)).outcome == 3
    assert transitions.merged(None, job(2)).outcome is None


def test_a_name_once_known_is_not_forgotten() -> None:
    known = transitions.merged(None, Snapshot(status=2, name="deploy"))

    assert transitions.merged(known, Snapshot(status=3)).name == "deploy"


def test_the_instance_comes_first_and_its_steps_in_their_order() -> None:
    first, second = builders.STEPS
    before = transitions.merged(
        None, job(2, step(2, hosts(_1=7)), step(1, number=second))
    )
    after = transitions.merged(
        before, job(4, step(4, hosts(_1=104)), step(2, hosts(_2=5), number=second))
    )

    one, other = Attempt(first, 0, "push"), Attempt(second, 0, "push")
    assert transitions.between(before, after) == (
        Transition(kind=Kind.FINISHED, before=2, after=4),
        Transition(kind=Kind.STEP_CHANGED, before=2, after=4, attempt=one),
        Transition(kind=Kind.HOSTS_FAILED, attempt=one, hosts=hosts(_1=104)),
        Transition(kind=Kind.STEP_CHANGED, before=1, after=2, attempt=other),
        Transition(kind=Kind.HOSTS_CHANGED, attempt=other, hosts=hosts(_2=5)),
    )


@pytest.mark.parametrize("status", [0, builders.UNKNOWN_RUN])
def test_a_new_step_is_told_of_whatever_its_code(status: int) -> None:
    before, after = job(2), transitions.merged(job(2), job(2, step(status)))

    attempt = Attempt(builders.STEPS[0], 0, "push")
    assert transitions.between(before, after) == (
        Transition(kind=Kind.STEP_CHANGED, after=status, attempt=attempt),
    )


def test_a_step_that_is_missing_from_an_answer_keeps_its_hosts_as_stale() -> None:
    known = transitions.merged(None, job(4, step(4, hosts(_1=9, _2=104))))

    after = transitions.merged(known, job(4))

    assert transitions.between(known, after) == ()
    assert after.steps[0].stale == hosts(_1=9, _2=104).keys()
