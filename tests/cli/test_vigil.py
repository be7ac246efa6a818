"""How instances are looked at while somebody waits, in virtual time."""

from collections.abc import Sequence
from datetime import timedelta

import anyio
import pytest
from looptime import LoopTimeProxy

from monitor import errors
from monitor.cli.waiting.post import Post, Terms
from monitor.cli.waiting.vigil import Vigil
from monitor.core.ending import Condition, Ending, Finding, Goal
from monitor.core.model import InstanceKey, Snapshot, Step, host_id
from monitor.core.transitions import Transition
from tests.support.source import ScriptedSource

pytestmark = pytest.mark.looptime

FIRST, SECOND, THIRD = (InstanceKey("prod", "biz", "2", n) for n in (1, 2, 3))
RUNNING = Snapshot(status=2)
SUCCEEDED = Snapshot(status=3)
FAILED = Snapshot(status=4)
DOWN = errors.Unavailable("down")


class Heard:
    """Satisfies ``vigil.Hearer``."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None:
        self.lines += [f"{finding.key.job_instance_id} {each.kind}" for each in moved]

    def ended(self, finding: Finding) -> None:
        self.lines.append(f"{finding.key.job_instance_id} {finding.ending}")

    def doubted(self, who: str, reason: str) -> None:
        self.lines.append(f"{who} doubted")

    def restored(self, who: str) -> None:
        self.lines.append(f"{who} restored")

    def lost(self, source: str, reason: str, instances: int) -> None:
        self.lines.append(f"{source} lost, {instances} left")

    def handed_over(self, instances: int, reason: str) -> None:
        self.lines.append(f"{instances} handed over")


async def keep(
    *sources: ScriptedSource,
    keys: Sequence[InstanceKey] = (FIRST,),
    condition: Condition = Condition(),  # noqa: B008 - frozen
    terms: Terms = Terms(),  # noqa: B008 - frozen
) -> tuple[Vigil, list[str]]:
    """Wait without a limit, and as if luck were always even."""
    heard = Heard()
    vigil, posts = Vigil(keys, condition, heard), []
    for source in sources:
        theirs = [key for key in keys if key.source == source.name]
        posts.append(Post(source, theirs, vigil, terms=terms, luck=lambda: 0.5))
    await vigil.keep([post.run for post in posts], anyio.sleep_forever)
    return vigil, heard.lines


def endings(vigil: Vigil) -> list[Ending]:
    return [finding.ending for finding in vigil.findings]


def with_hosts(status: int, *statuses: int) -> Snapshot:
    hosts = {host_id(f"10.0.0.{n}", 0): code for n, code in enumerate(statuses)}
    return Snapshot(
        status=status, steps=(Step(step_instance_id=1, status=status, hosts=hosts),)
    )


async def test_a_fast_job_is_looked_at_each_second() -> None:
    source = ScriptedSource(RUNNING, RUNNING, SUCCEEDED)

    vigil, _ = await keep(source)

    assert source.times == [0, 1, 2]
    assert vigil.exit_code == 0


async def test_a_quiet_job_is_looked_at_less_and_less_often() -> None:
    source = ScriptedSource(*[RUNNING] * 100, SUCCEEDED)

    await keep(source)

    gaps = [b - a for a, b in zip(source.times, source.times[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[0] == 1
    assert 45 <= gaps[-1] <= 60


async def test_what_has_ended_is_not_looked_at_again() -> None:
    source = ScriptedSource(RUNNING, RUNNING, RUNNING, SUCCEEDED)
    source.says(FAILED, about=SECOND)

    vigil, _ = await keep(source, keys=(FIRST, SECOND))

    assert source.counts == {FIRST: 4, SECOND: 1}
    assert vigil.exit_code == 1


async def test_unfinished_hosts_of_a_finished_job_are_looked_at_once_more() -> None:
    source = ScriptedSource(with_hosts(3, 9, 7), with_hosts(3, 9, 9))

    vigil, _ = await keep(source)

    (finding,) = vigil.findings
    assert source.times == [0, 1]
    assert finding.snapshot is not None
    assert {*finding.snapshot.steps[0].hosts.values()} == {9}


async def test_hosts_left_behind_for_ever_are_believed_the_second_time() -> None:
    source = ScriptedSource(with_hosts(9, 9, 7))

    vigil, _ = await keep(source)

    assert source.times == [0, 1]
    assert endings(vigil) == [Ending.FAILED]


async def test_a_finished_job_that_runs_again_when_confirmed_is_waited_for() -> None:
    source = ScriptedSource(with_hosts(4, 104, 7), RUNNING, SUCCEEDED)

    vigil, _ = await keep(source)

    assert endings(vigil) == [Ending.SUCCEEDED]


async def test_an_instance_is_gone_after_three_answers_a_second_apart() -> None:
    source = ScriptedSource(errors.Missing("1244006"))

    vigil, heard = await keep(source)

    assert source.times == [0, 1, 2]
    assert (vigil.exit_code, heard) == (6, ["1 gone"])


async def test_an_instance_that_turns_up_late_is_not_gone() -> None:
    missing = errors.Missing("1244006")
    source = ScriptedSource(missing, missing, SUCCEEDED)

    assert (await keep(source))[0].exit_code == 0


async def test_an_outage_shorter_than_the_patience_ends_nothing() -> None:
    source = ScriptedSource(RUNNING, *[DOWN] * 5, SUCCEEDED)

    vigil, heard = await keep(source)

    assert vigil.exit_code == 0
    assert heard[1:3] == ["prod doubted", "prod restored"]


async def test_a_source_that_stays_away_is_lost_after_its_patience(
    looptime: LoopTimeProxy,
) -> None:
    source = ScriptedSource(DOWN)

    vigil, heard = await keep(source, keys=(FIRST, SECOND))

    assert 30 <= looptime < 60
    assert vigil.exit_code == 5
    assert heard == ["prod doubted", "prod lost, 2 left"]


async def test_few_tries_are_not_enough_to_lose_a_source() -> None:
    source = ScriptedSource(DOWN)
    source.latency = 30.0

    vigil, _ = await keep(source)

    assert len(source.asked) == 5
    assert vigil.exit_code == 5


async def test_what_another_source_has_said_is_kept_when_one_is_lost() -> None:
    other = InstanceKey("test", "biz", "2", 1)
    sources = ScriptedSource(DOWN), ScriptedSource(FAILED, name="test")

    vigil, _ = await keep(*sources, keys=(FIRST, other))

    assert endings(vigil) == [Ending.LOST, Ending.FAILED]
    assert vigil.exit_code == 1


async def test_one_unusable_answer_loses_its_instance_and_no_other() -> None:
    source = ScriptedSource(*[RUNNING] * 50, SUCCEEDED)
    source.says(errors.Garbled("too long"), about=SECOND)

    vigil, heard = await keep(source, keys=(FIRST, SECOND))

    assert endings(vigil) == [Ending.SUCCEEDED, Ending.LOST]
    assert "prod/biz/2/2 doubted" in heard
    assert vigil.exit_code == 5


async def test_credentials_are_read_anew_before_a_refusal_is_believed() -> None:
    source = ScriptedSource(RUNNING, errors.Refused("expired"), SUCCEEDED)

    vigil, _ = await keep(source)

    assert source.times == [0, 1, 1]
    assert vigil.exit_code == 0


async def test_credentials_refused_twice_end_it_at_once(
    looptime: LoopTimeProxy,
) -> None:
    source = ScriptedSource(errors.Refused("expired"))

    vigil, heard = await keep(source)

    assert looptime == 0
    assert (vigil.exit_code, heard) == (4, ["prod lost, 1 left"])


async def test_a_forbidden_instance_leaves_the_others_alone() -> None:
    source = ScriptedSource(RUNNING, SUCCEEDED)
    source.says(errors.Forbidden("9900403"), about=SECOND)

    vigil, _ = await keep(source, keys=(FIRST, SECOND))

    assert endings(vigil) == [Ending.SUCCEEDED, Ending.REFUSED]
    assert vigil.exit_code == 4


async def test_a_source_that_throttles_is_left_alone_for_as_long_as_it_says() -> None:
    slower = errors.Throttled("429", retry_after=timedelta(seconds=20))
    source = ScriptedSource(SUCCEEDED)
    source.says(slower, SUCCEEDED, about=FIRST)

    vigil, _ = await keep(source, terms=Terms(width=1), keys=(FIRST, SECOND, THIRD))

    assert min(source.times[1:]) >= 20
    assert vigil.exit_code == 0


async def test_one_is_enough_where_any_is_waited_for() -> None:
    source = ScriptedSource(RUNNING)
    source.says(RUNNING, RUNNING, SUCCEEDED, about=SECOND)

    vigil, _ = await keep(
        source, keys=(FIRST, SECOND), condition=Condition(Goal.SUCCESS, any_=True)
    )

    assert endings(vigil) == [Ending.RUNNING, Ending.SUCCEEDED]
    assert vigil.exit_code == 0


async def test_a_thousand_instances_are_asked_for_within_the_budget(
    looptime: LoopTimeProxy,
) -> None:
    keys = [InstanceKey("prod", "biz", "2", n) for n in range(1, 1001)]
    source = ScriptedSource(SUCCEEDED)

    vigil, _ = await keep(source, keys=keys, terms=Terms(width=8, rate=50.0))

    assert vigil.exit_code == 0
    assert source.counts.total() == 1000
    assert looptime >= 19
    assert max(sum(t <= u < t + 1 for u in source.times) for t in range(20)) <= 60


async def test_transitions_are_told_in_their_order() -> None:
    source = ScriptedSource(
        with_hosts(2, 7, 7), with_hosts(2, 9, 104), with_hosts(4, 9, 104)
    )

    _, heard = await keep(source)

    assert heard == [
        "1 bkjob.instance.appeared",
        "1 bkjob.hosts.failed",
        "1 bkjob.hosts.changed",
        "1 bkjob.instance.finished",
        "1 bkjob.step.changed",
        "1 failed",
    ]
