import doctest

from monitor.core import model, watch


def test_the_examples_in_the_prose_are_true() -> None:
    runs = [doctest.testmod(module) for module in (model, watch)]

    assert [run.failed for run in runs] == [0, 0]
    assert all(run.attempted for run in runs)
