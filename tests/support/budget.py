"""A budget that lets everybody pass, and remembers what it heard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor import errors


class FreeBudget:
    """Satisfies ``ports.Budget``; *failures* are what left the turns."""

    def __init__(self) -> None:
        self.turns = 0
        self.failures: list[errors.SourceError] = []

    @asynccontextmanager
    async def turn(self, *, spare: bool = False) -> AsyncIterator[None]:
        self.turns += 1
        try:
            yield
        except errors.SourceError as error:
            self.failures.append(error)
            raise
