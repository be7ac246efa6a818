"""What every test may rely on: no settings from outside, no loop left behind."""

import asyncio
import os

import pytest
from hypothesis import settings

# How long something takes is measured in benchmarks.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure() -> None:
    # looptime asks for the current loop even in tests that have none.
    asyncio.set_event_loop(None)


@pytest.fixture(autouse=True)
def scrubbed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("MONITOR_"):
            monkeypatch.delenv(name)
