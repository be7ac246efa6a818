"""When a shard has an owner again that lives, told from what the sampler saw."""

from math import inf

from tests.torture.evidence import Struck
from tests.torture.members import Life
from tests.torture.sampling import Sampler, Tenure
from tests.torture.schedule import Kind
from tests.torture.takeovers import Takeover, takeovers
from tests.torture.worked import evidence, owner

FIRST, SECOND, THIRD = owner(100), owner(200), owner(300)


def kill(at: float, *shards: int) -> Struck:
    return Struck(Kind.KILL, 100, at, at + 1, frozenset(shards))


def lives(*pids: int) -> list[Life]:
    return [Life(n, pid, f"127.{n}.0.1", 0.0) for n, pid in enumerate(pids, 1)]


def seen(*tenures: Tenure) -> Sampler:
    sampler = Sampler("")
    for tenure in tenures:
        sampler.saw(tenure)
    return sampler


def test_a_takeover_lasts_from_the_fault_to_the_next_owner() -> None:
    sampler = seen(
        Tenure(3, 0.0, FIRST, 1), Tenure(3, 18.0, "", 1), Tenure(3, 19.5, SECOND, 2)
    )

    [found] = takeovers(evidence(sampler, lives=lives(100, 200), struck=[kill(8.0, 3)]))

    assert found == Takeover(Kind.KILL, 3, 8.0, 11.5, disturbed=False)


def test_an_owner_that_is_stopped_all_the_while_does_not_count() -> None:
    sampler = seen(
        Tenure(3, 0.0, FIRST, 1), Tenure(3, 18.0, SECOND, 2), Tenure(3, 20.0, THIRD, 3)
    )
    _, second, _ = them = lives(100, 200, 300)
    second.ills.append((17.0, 30.0))

    [found] = takeovers(evidence(sampler, lives=them, struck=[kill(8.0, 3)]))

    assert found.seconds == 12.0


def test_an_owner_counts_from_when_it_is_well_again() -> None:
    sampler = seen(Tenure(3, 0.0, FIRST, 1), Tenure(3, 18.0, SECOND, 2))
    _, second = them = lives(100, 200)
    second.ills.append((17.0, 20.5))

    [found] = takeovers(evidence(sampler, lives=them, struck=[kill(8.0, 3)]))

    assert found.seconds == 12.5


def test_a_shard_that_nobody_takes_is_told_of_as_well() -> None:
    sampler = seen(Tenure(3, 0.0, FIRST, 1), Tenure(3, 18.0, "", 1))

    [found] = takeovers(evidence(sampler, lives=lives(100), struck=[kill(8.0, 3)]))

    assert found.seconds is None


def test_a_short_hole_need_not_cost_a_shard() -> None:
    sampler = seen(Tenure(3, 0.0, FIRST, 1))
    hole = Struck(Kind.HOLE, 100, 8.0, 12.0, frozenset([3]))

    assert [*takeovers(evidence(sampler, lives=lives(100), struck=[hole]))] == []


def test_one_while_the_database_was_away_is_told_apart() -> None:
    sampler = seen(Tenure(3, 0.0, FIRST, 1), Tenure(3, 20.0, SECOND, 2))
    crash = Struck(Kind.RESTART, 0, 15.0, 16.0, frozenset())

    [found] = takeovers(
        evidence(sampler, lives=lives(100, 200), struck=[kill(8.0, 3), crash])
    )

    assert found.disturbed


def test_an_epoch_that_does_not_rise_with_a_new_owner_is_a_fall() -> None:
    rising = seen(Tenure(3, 0.0, FIRST, 1), Tenure(3, 1.0, SECOND, 2))
    same = seen(Tenure(3, 0.0, FIRST, 1), Tenure(3, 1.0, SECOND, 1))
    sinking = seen(Tenure(3, 0.0, FIRST, 2), Tenure(3, 1.0, "", 1))
    renewed = seen(Tenure(3, 0.0, FIRST, 1), Tenure(3, 1.0, "", 1))

    assert rising.falls == renewed.falls == []
    assert len(same.falls) == len(sinking.falls) == 1


def test_a_life_is_well_but_while_it_is_stopped() -> None:
    life = Life(1, 100, "127.1.0.1", 5.0, ills=[(7.0, 9.0)])

    assert [*life.well(20.0)] == [(5.0, 7.0), (9.0, 20.0)]
    assert [at for at in (4.0, 6.0, 8.0, 9.0) if life.lives(at)] == [6.0, 9.0]
    life.ills[-1] = (7.0, inf)
    assert not life.lives(1000.0)


def test_a_life_that_began_anew_was_not_well_meanwhile() -> None:
    log = """
{"timestamp": "1970-01-01T01:00:07Z", "event": "lease.lost"}
{"timestamp": "1970-01-01T01:00:09Z", "event": "service.started"}
Error: the store failed
"""
    life = Life(1, 100, "127.1.0.1", 5.0)

    life.begins_anew(log, 3600.0)

    assert life.ills == [(7.0, 9.0)]
