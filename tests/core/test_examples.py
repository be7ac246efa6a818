import doctest
import pkgutil
from importlib import import_module

from monitor import core


def test_the_examples_in_the_prose_are_true() -> None:
    names = [
        found.name for found in pkgutil.iter_modules(core.__path__, "monitor.core.")
    ]
    runs = {name: doctest.testmod(import_module(name)) for name in names}

    assert {name for name, run in runs.items() if run.failed} == set()
    assert {name for name, run in runs.items() if run.attempted} == {
        "monitor.core.clusters",
        "monitor.core.matchers",
        "monitor.core.model",
        "monitor.core.watch",
    }
