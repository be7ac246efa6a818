from monitor.web.early import KEPT_FOR, MOST, Early


def test_an_early_one_is_remembered_for_a_minute() -> None:
    early = Early()
    early.remember(7, now=0)

    assert [*early.waiting(KEPT_FOR - 1)] == [7]
    assert [*early.waiting(KEPT_FOR)] == []


def test_a_repetition_is_remembered_anew() -> None:
    early = Early()
    early.remember(7, now=0)
    early.remember(7, now=50)

    assert [*early.waiting(100)] == [7]


def test_what_is_forgotten_waits_no_more() -> None:
    early = Early()
    early.remember(7, now=0)
    early.remember(8, now=0)

    for each in early.waiting(1):
        early.forget(each)

    assert [*early.waiting(1)] == []


def test_of_too_many_the_oldest_is_forgotten() -> None:
    early = Early()
    for each in range(MOST + 2):
        early.remember(each, now=0)

    assert [*early.waiting(0)] == [*range(2, MOST + 2)]
