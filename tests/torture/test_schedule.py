from collections import Counter

from tests.torture.schedule import PROMISE, RECOVERY, Fault, Kind, Plan, faults

PLAN = Plan(kills=30, stops=30, drains=3, severs=5, restarts=4, holes=2, duration=900)


def test_the_same_seed_gives_the_same_faults_and_another_one_others() -> None:
    assert [*faults(PLAN)] == [*faults(PLAN)]
    assert [*faults(PLAN)] != [*faults(Plan(kills=30, seed=2))]


def test_each_kind_strikes_as_often_as_the_plan_says() -> None:
    assert Counter(fault.kind for fault in faults(PLAN)) == {
        Kind.KILL: 30,
        Kind.STOP: 30,
        Kind.DRAIN: 3,
        Kind.SEVER: 5,
        Kind.RESTART: 4,
        Kind.HOLE: 2,
    }


def test_faults_come_in_order_and_a_stop_lasts_longer_than_the_promise() -> None:
    found = [*faults(PLAN)]

    assert found == sorted(found, key=lambda fault: fault.at)
    assert all(f.seconds > PROMISE for f in found if f.kind is Kind.STOP)


def test_nobody_is_struck_twice_at_once_and_one_daemon_is_always_left_in_peace() -> (
    None
):
    found = [fault for fault in faults(PLAN) if fault.member is not None]

    for fault in found:
        ill = [other.member for other in found if _troubles(other, fault.at)]
        assert len(ill) == len({*ill}) < PLAN.daemons


def test_all_daemons_are_struck() -> None:
    assert {fault.member for fault in faults(PLAN)} == {0, 1, 2, None}


def test_one_daemon_alone_is_struck_once_it_works_again() -> None:
    alone = [*faults(Plan(daemons=1, kills=3, stops=3, restarts=0, duration=1))]

    ends = [fault.at + fault.seconds + RECOVERY for fault in alone]
    assert all(f.at >= end for f, end in zip(alone[1:], ends, strict=False))


def _troubles(fault: Fault, at: float) -> bool:
    return fault.at <= at < fault.at + fault.seconds + RECOVERY
