"""What is learnt of one source, and what it changes, in virtual time."""

from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from math import inf

import anyio
import pytest
from anyio.lowlevel import checkpoint

from monitor.core import cadence, hazard
from monitor.core.cadence import Limits
from monitor.core.hazard import Table
from monitor.experience import Experience, Running

pytestmark = pytest.mark.looptime

MIDDLE = 0.5
FREE = Limits(floor=1.0, cap=inf)
USUAL = Limits(floor=2.0, cap=60.0)
DEPLOY = ("prod/plan/7", "prod/2", "prod")
BACKUP = ("prod/plan/8", "prod/2", "prod")
ELSEWHERE = ("prod/plan/9", "prod/3", "prod")


class Drawer:
    """A shelf that remembers, what was put on it each time, and what was read.

    *meanwhile* is what happens while it is being put there.
    """

    def __init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.saved: list[list[str]] = []
        self.read: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def newest(self, source: str, most: int) -> Sequence[str]:
        return [*reversed(self.tables)][:most]

    async def learnt(self, keys: Collection[str]) -> Mapping[str, Table]:
        self.read += keys
        return {key: self.tables[key] for key in keys}

    async def keep(
        self, source: str, learnt: Mapping[str, Table], known: Mapping[str, Table]
    ) -> Mapping[str, Table]:
        self.saved.append(sorted(learnt))
        for key, table in learnt.items():
            there = self.tables.pop(key, None)
            self.tables[key] = hazard.merged(there, table) if there else known[key]
        self.meanwhile()
        return {key: self.tables[key] for key in learnt}


def an_experience(
    shelf: Drawer | None = None,
    limits: Limits = FREE,
    most: int = 2000,
    daemons: int = 1,
) -> Experience:
    return Experience(
        "prod", shelf or Drawer(), limits=limits, most=most, daemons=lambda: daemons
    )


def after_ends(seconds: float, times: int = 50, limits: Limits = FREE) -> Experience:
    """Give one in which deployments took *seconds* give or take a tenth."""
    experience = an_experience(limits=limits)
    for n in range(times):
        experience.saw_end(DEPLOY, seconds * (0.9 + 0.2 * n / times))
    return experience


def priced(experience: Experience, *active: Running, rate: float = 0.1) -> None:
    experience.reprice(active or [(DEPLOY, 10.0, 1.0)], rate, lag=0.0)


def wait(
    experience: Experience, age: float, weight: float = 1.0, limits: Limits = FREE
) -> float:
    return experience.interval(DEPLOY, age, weight, limits, MIDDLE)


@asynccontextmanager
async def running(experience: Experience, *active: Running) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(experience.run, lambda: active, lambda: 1.0, lambda: 0.0)
        yield
        tasks.cancel_scope.cancel()


def test_until_there_is_a_price_the_wait_is_that_of_the_unlearnt_rule() -> None:
    experience = after_ends(600)

    asked = experience.interval(DEPLOY, 400.0, 1.0, USUAL, MIDDLE, since=5.0)

    assert experience.theta == 0
    assert asked == cadence.interval(400.0, 5.0, USUAL, MIDDLE) == 20


def test_learnt_is_what_ten_have_shown_once_there_is_a_price() -> None:
    experience = after_ends(600, times=10)
    unpriced = experience.learnt(DEPLOY)
    priced(experience, rate=10.0)
    almost = experience.learnt(DEPLOY)
    experience.saw_end(DEPLOY, 600)

    assert not unpriced
    # The first of ten is forgotten a little.
    assert not almost
    assert experience.learnt(DEPLOY)
    assert experience.learnt(("prod/plan/new", "prod/2", "prod"))
    assert not experience.learnt(("test/plan/7", "test"))


def test_where_the_budget_binds_the_price_holds_from_the_first() -> None:
    experience = an_experience()
    priced(experience, rate=10.0)
    slack = experience.learnt(DEPLOY)
    priced(experience, rate=0.01)

    assert not slack
    assert experience.learnt(DEPLOY)


def test_looks_are_rare_until_the_like_have_ended_and_then_frequent() -> None:
    experience = after_ends(600)
    priced(experience)

    early, near = wait(experience, 10), wait(experience, 560)

    assert early > 2 * near


def test_what_a_class_has_not_shown_it_takes_from_its_scope_and_that_from_all() -> None:
    experience = after_ends(600)
    priced(experience)

    near = [experience.curve(kinds).slopes[23] for kinds in (DEPLOY, BACKUP, ELSEWHERE)]
    unlearnt = an_experience().curve(DEPLOY).slopes[23]

    assert near[0] > unlearnt
    assert near[1] == pytest.approx(near[0], rel=0.2)
    assert near[2] == pytest.approx(near[0], rel=0.2)


def test_an_end_shows_in_the_curve_from_the_next_round_on() -> None:
    experience = after_ends(600)
    priced(experience)
    before = experience.curve(DEPLOY)
    for _ in range(50):
        experience.saw_end(DEPLOY, 20.0)
    meanwhile = experience.curve(DEPLOY)
    priced(experience)

    assert meanwhile is before
    assert experience.curve(DEPLOY).at(30.0) > before.at(30.0)


def test_those_that_hang_count_though_they_have_not_ended() -> None:
    calm, hanging = after_ends(600), after_ends(600)
    priced(calm)
    priced(hanging, *[(DEPLOY, 50_000.0, 1.0)] * 200)

    assert hanging.curve(DEPLOY).at(600) < 0.7 * calm.curve(DEPLOY).at(600)


def test_of_what_runs_elsewhere_as_much_is_reckoned_with_as_of_what_runs_here() -> None:
    alone, shared = an_experience(), an_experience(daemons=2)
    for experience, here in ((alone, 200), (shared, 100)):
        for _ in range(50):
            experience.saw_end(DEPLOY, 600.0)
        priced(experience, *[(DEPLOY, 50_000.0, 1.0)] * here)

    assert shared.curve(DEPLOY) == alone.curve(DEPLOY)
    assert shared.wanted == pytest.approx((alone.wanted or 0) / 2)


def test_the_weightier_is_looked_at_sooner_by_the_root_of_its_weight() -> None:
    experience = an_experience()
    priced(experience, (DEPLOY, 10.0, 1.0), rate=0.5)

    assert wait(experience, 5000, weight=4.0) == pytest.approx(
        wait(experience, 5000) / 2, rel=0.02
    )


def test_the_price_lets_those_that_run_take_97_percent_of_the_rate() -> None:
    experience = after_ends(600)
    active = [(DEPLOY, float(age), 1.0 + age % 2) for age in range(5, 2000)]
    for _ in range(20):
        priced(experience, *active, rate=50.0)

    curve = experience.curve(DEPLOY)
    looks = sum(
        weight**0.5 * (curve.at(age + 0.5) - curve.at(age - 0.5)) / experience.theta
        for _, age, weight in active
    )

    assert looks == pytest.approx(48.5, rel=0.05)


def test_looks_become_dearer_while_they_are_late() -> None:
    calm, late = after_ends(600), after_ends(600)
    for _ in range(10):
        calm.reprice([(DEPLOY, 10.0, 1.0)], 0.1, lag=0.0)
        late.reprice([(DEPLOY, 10.0, 1.0)], 0.1, lag=3.0)

    assert late.theta == pytest.approx(calm.theta * 1.01**10)


def test_the_longest_wait_holds_as_far_as_the_budget_goes() -> None:
    enough, short = after_ends(600, limits=USUAL), after_ends(600, limits=USUAL)
    hung = [(DEPLOY, 50_000.0, 1.0)] * 600
    priced(enough, *hung, rate=20.0)
    priced(short, *hung, rate=5.0)

    assert wait(enough, 50_000, limits=USUAL) <= 60
    assert wait(short, 50_000, limits=USUAL) > 120


def test_with_nobody_running_or_nothing_to_spend_the_last_price_stands() -> None:
    experience = after_ends(600)
    priced(experience)
    before = experience.theta
    experience.reprice([], 50.0, lag=0.0)
    experience.reprice([(DEPLOY, 10.0, 1.0)], 0.0, lag=0.0)

    assert experience.theta == before > 0


def test_by_value_the_likelier_comes_first_and_the_long_unseen_before_it() -> None:
    experience = after_ends(600)
    priced(experience)

    near = experience.value(DEPLOY, 590.0, 1.0, unseen=10.0)
    early = experience.value(DEPLOY, 20.0, 1.0, unseen=10.0)
    unseen = experience.value(DEPLOY, 20.0, 1.0, unseen=1000.0)

    assert early < near < unseen


async def test_a_running_experience_reprices_every_five_seconds() -> None:
    experience = after_ends(600)
    prices = []
    async with running(experience, (DEPLOY, 10.0, 1.0)):
        await anyio.sleep(1)
        first = experience.curve(DEPLOY)
        experience.saw_end(DEPLOY, 20.0)
        for _ in range(2):
            prices.append(experience.curve(DEPLOY) is first)
            await anyio.sleep(4.5)

    assert prices == [True, False]


async def test_what_changed_is_saved_once_a_minute() -> None:
    shelf = Drawer()
    experience = an_experience(shelf)
    async with running(experience):
        experience.saw_end(DEPLOY, 600.0)
        experience.saw_end(ELSEWHERE, 600.0)
        await anyio.sleep(59)
        early = len(shelf.saved)
        await anyio.sleep(3)
        experience.saw_end(BACKUP, 30.0)
        await anyio.sleep(600)

    assert early == 0
    assert shelf.saved == [sorted({*DEPLOY, *ELSEWHERE}), sorted(BACKUP)]


async def test_what_was_learnt_outlives_a_restart() -> None:
    shelf = Drawer()
    before, after = an_experience(shelf), an_experience(shelf)
    for _ in range(20):
        before.saw_end(DEPLOY, 600.0)
    await before.save()
    await after.remember()
    for experience in (before, after):
        priced(experience)

    assert after.learnt(DEPLOY)
    assert after.curve(DEPLOY) == before.curve(DEPLOY)
    assert wait(after, 500) == wait(before, 500)


async def test_what_several_daemons_learn_is_kept_of_all_and_counted_once() -> None:
    shelf = Drawer()
    one, other, new = (an_experience(shelf) for _ in range(3))
    for _ in range(3):
        one.saw_end(DEPLOY, 600.0)
        await one.save()
        other.saw_end(BACKUP, 30.0)
        await other.save()
        await one.save()
    await new.remember()

    counts = {key: table.completions for key, table in shelf.tables.items()}
    assert counts["prod/plan/7"] == pytest.approx(3, abs=0.01)
    assert counts["prod/plan/8"] == pytest.approx(3, abs=0.01)
    assert counts["prod"] == pytest.approx(6, abs=0.05)
    for experience in (other, new):
        priced(experience)
    assert other.curve(("prod/2", "prod")) == new.curve(("prod/2", "prod"))


async def test_what_ends_while_it_is_saved_is_neither_lost_nor_counted_twice() -> None:
    shelf = Drawer()
    one, other = an_experience(shelf), an_experience(shelf)
    other.saw_end(DEPLOY, 600.0)
    await other.save()
    one.saw_end(DEPLOY, 600.0)
    shelf.meanwhile = lambda: one.saw_end(DEPLOY, 600.0)
    await one.save()
    shelf.meanwhile = lambda: None
    await one.save()

    assert shelf.tables["prod"].completions == pytest.approx(3, abs=0.01)


async def test_many_classes_are_saved_in_lots_each_class_once() -> None:
    shelf = Drawer()
    experience = an_experience(shelf)
    for n in range(248):
        experience.saw_end((f"prod/plan/{n}", "prod/2", "prod"), 600.0)
    # However often others end meanwhile, a round comes to its end.
    shelf.meanwhile = lambda: experience.saw_end(DEPLOY, 600.0)
    await experience.save()

    assert [len(lot) for lot in shelf.saved] == [100, 100, 50]
    assert len({key for lot in shelf.saved for key in lot}) == 250


async def test_of_too_many_classes_those_last_used_are_remembered() -> None:
    shelf = Drawer()
    experience = an_experience(shelf, most=4)
    experience.saw_end(DEPLOY, 600.0)
    experience.saw_end(BACKUP, 600.0)
    priced(experience, (DEPLOY, 10.0, 1.0))
    experience.saw_end(("prod/plan/new", "prod/2", "prod"), 600.0)
    await experience.save()

    assert shelf.tables.keys() == {"prod/plan/7", "prod/plan/new", "prod/2", "prod"}


async def test_what_one_has_no_room_for_is_not_forgotten_for_the_others() -> None:
    shelf = Drawer()
    one, crowded = an_experience(shelf), an_experience(shelf, most=4)
    for _ in range(50):
        one.saw_end(DEPLOY, 600.0)
    await one.save()
    await crowded.remember()
    for n in range(9):
        crowded.saw_end((f"prod/plan/new {n}", "prod/3", "prod"), 60.0)
        await crowded.save()
    one.saw_end(DEPLOY, 600.0)
    await one.save()

    assert crowded.remembered == 4
    assert shelf.tables["prod/plan/7"].completions > 45
    assert one.percentile(DEPLOY, 95) is not None


async def test_what_the_shelf_has_forgotten_is_put_back_by_who_still_uses_it() -> None:
    shelf = Drawer()
    one, other = an_experience(shelf), an_experience(shelf)
    for _ in range(50):
        one.saw_end(DEPLOY, 600.0)
    await one.save()
    known = shelf.tables.pop("prod/plan/7").completions
    for experience in (one, other):
        experience.saw_end(DEPLOY, 600.0)
        await experience.save()

    assert shelf.tables["prod/plan/7"].completions == pytest.approx(known + 2, abs=0.2)
    assert one.percentile(DEPLOY, 95) == other.percentile(DEPLOY, 95) is not None


async def test_no_more_is_taken_up_than_may_be_remembered_the_newest_first() -> None:
    shelf = Drawer()
    shelf.tables = {f"prod/plan/{n}": Table((1.0,), (9.0,), 1.0) for n in range(100)}
    experience = an_experience(shelf, most=10)
    await experience.remember()
    taken_up = experience.remembered
    experience.saw_end(("prod/plan/99", "prod/2", "prod"), 600.0)
    await experience.save()

    assert shelf.read == [f"prod/plan/{n}" for n in range(90, 100)]
    assert (taken_up, experience.remembered) == (10, 10)
    assert len(shelf.tables) == 102


async def test_of_what_is_used_nothing_is_read_again() -> None:
    shelf = Drawer()
    one, other = an_experience(shelf), an_experience(shelf)
    one.saw_end(DEPLOY, 600.0)
    other.saw_end(BACKUP, 30.0)
    await one.save()
    await other.save()
    await one.remember()

    assert shelf.read == ["prod/plan/8"]


def test_a_name_that_nothing_ended_under_costs_no_memory() -> None:
    experience = an_experience(most=4)
    experience.saw_end(DEPLOY, 600.0)
    priced(experience, *[((f"prod/{n}", "prod/2", "prod"), 9.0, 1.0) for n in range(9)])
    experience.saw_end(DEPLOY, 600.0)
    priced(experience)

    assert experience.curve(("prod/3", "prod/2", "prod")) is experience.curve(
        ("prod/2", "prod")
    )


async def test_a_round_over_many_gives_way_to_others_who_may_change_what_is_active() -> (
    None
):
    experience = after_ends(600)
    watches = dict.fromkeys(range(10000), (DEPLOY, 10.0, 1.0))
    turns = 0

    def active() -> Iterator[Running]:
        yield from watches.values()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(experience.run, active, lambda: 50.0, lambda: 0.0)
        while not experience.theta:
            watches.pop(turns)
            turns += 1
            await checkpoint()
        tasks.cancel_scope.cancel()

    assert turns >= 5


def test_how_long_nearly_all_took_is_told_once_twenty_of_the_plan_have_ended() -> None:
    few, enough = after_ends(600, times=19), after_ends(600, times=20)

    assert few.percentile(DEPLOY, 95) is None
    assert 600 < (enough.percentile(DEPLOY, 95) or 0) < 660 * 4 / 3
    assert enough.percentile(BACKUP, 95) is None
