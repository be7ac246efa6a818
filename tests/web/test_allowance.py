from monitor.web.allowance import APART, BURST, RATE, Allowance


def granted(allowance: Allowance, ids: range, now: float) -> int:
    count = 0
    for each in ids:
        if allowance.allows(each, now):
            allowance.spend(each, 1, now)
            count += 1
    return count


def test_one_instance_is_visited_once_a_second() -> None:
    allowance = Allowance()
    allowance.spend(7, 1, now=10)

    assert not allowance.allows(7, 10 + APART / 2)
    assert allowance.allows(8, 10 + APART / 2)
    assert allowance.allows(7, 10 + APART)


def test_many_instances_are_visited_as_often_as_the_rate_says() -> None:
    allowance = Allowance()

    at_once = granted(allowance, range(10_000), now=100)
    later = granted(allowance, range(10_000, 20_000), now=102)

    assert at_once == BURST
    assert later == 2 * RATE


def test_an_id_with_many_watches_costs_as_many_visits() -> None:
    allowance = Allowance()
    allowance.spend(7, int(BURST) + 100, now=0)

    assert not allowance.allows(8, now=100 / RATE)
    assert allowance.allows(8, now=101 / RATE)


def test_rest_saves_up_no_more_than_a_burst() -> None:
    allowance = Allowance()

    assert granted(allowance, range(10_000), now=1e6) == BURST
