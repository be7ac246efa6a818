from monitor.web.allowance import BURST, RATE
from monitor.web.hints import Callbacks
from tests.web.serving import Queue


def counts(callbacks: Callbacks) -> dict[str, float]:
    return {s.labels[0]: s.value for s in callbacks.samples() if s.value}


def test_a_callback_moves_its_instance_to_the_front() -> None:
    queue = Queue(7, 8)
    callbacks = Callbacks(queue.hint)

    callbacks.take(7, now=0)

    assert queue.moved == [7]
    assert counts(callbacks) == {"moved": 1}


def test_a_repeated_callback_moves_it_again_only_after_a_second() -> None:
    queue = Queue(7)
    callbacks = Callbacks(queue.hint)

    for now in (0, 0.1, 0.9, 1.0):
        callbacks.take(7, now)

    assert queue.moved == [7, 7]
    assert counts(callbacks) == {"moved": 2, "held_back": 2}


def test_an_early_callback_is_made_good_once_its_watch_is_there() -> None:
    queue = Queue()
    callbacks = Callbacks(queue.hint)
    callbacks.take(7, now=0)
    callbacks.watches_added(now=1)
    queue.watched.add(7)

    callbacks.watches_added(now=59)
    callbacks.watches_added(now=59.5)

    assert queue.moved == [7]
    assert counts(callbacks) == {"unknown": 1}


def test_a_callback_of_long_ago_moves_nothing() -> None:
    queue = Queue()
    callbacks = Callbacks(queue.hint)
    callbacks.take(7, now=0)
    queue.watched.add(7)

    callbacks.watches_added(now=60)

    assert queue.moved == []


def test_forged_callbacks_cost_no_more_polls_than_are_rationed() -> None:
    queue = Queue(*range(10_000))
    callbacks = Callbacks(queue.hint)

    for tenth in range(100):
        for each in range(10_000):
            callbacks.take(each, now=1 + tenth / 10)

    assert len(queue.moved) <= BURST + 10 * RATE


def test_forged_callbacks_for_nobody_hold_back_no_real_one() -> None:
    queue = Queue(7)
    callbacks = Callbacks(queue.hint)

    for each in range(100_000, 200_000):
        callbacks.take(each, now=1)
    callbacks.take(7, now=1)

    assert queue.moved == [7]


def test_an_id_that_several_sources_have_is_paid_for_each_of_them() -> None:
    callbacks = Callbacks(lambda _: int(BURST))

    callbacks.take(7, now=1)
    callbacks.take(8, now=1)

    assert counts(callbacks) == {"moved": 1, "held_back": 1}
