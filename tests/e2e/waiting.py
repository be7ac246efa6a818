"""Waiting in real time: for something to become true, never for time to pass."""

from collections.abc import Callable
from typing import Final

import anyio

PATIENCE: Final = 30.0
"""Seconds. Far more than anything here takes: a loaded machine is no failure."""

OFTEN: Final = 0.01


async def until(
    condition: Callable[[], bool],
    what: str,
    *,
    within: float = PATIENCE,
    every: float = OFTEN,
) -> None:
    """Return once *condition* is true; *what* names it if it never is."""
    with anyio.move_on_after(within):
        while not condition():  # noqa: ASYNC110 - other processes set no event
            await anyio.sleep(every)
        return
    raise AssertionError(f"not within {within:g} s: {what}")
