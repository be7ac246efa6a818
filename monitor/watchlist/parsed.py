"""What reading a file yields: watches, and what could not be understood."""

from typing import Final

from msgspec import Struct

from monitor.core.watch import Place, Watch

LONGEST_REASON: Final = 256


class Unfit(ValueError):
    """What was written cannot be used; line and column count from 1.

    Where an entry raises it the entry is quarantined, otherwise the file.
    """

    def __init__(
        self, reason: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


class Fault(Struct, frozen=True, order=True, gc=False):
    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class Parsed(Struct, frozen=True, kw_only=True):
    """*legible*: False where the faults concern the file and not its entries."""

    watches: tuple[Watch, ...] = ()
    faults: tuple[Fault, ...] = ()
    legible: bool = True


def fault(path: str, error: ValueError, line: int | None, column: int | None) -> Fault:
    """Turn *error* into a fault at its own place, else at the given one."""
    if isinstance(error, Unfit) and error.line is not None:
        line, column = error.line, error.column
    elif isinstance(error, Unfit) and error.column is not None:
        column = error.column
    return Fault(Place(path, line, column), bounded(str(error)))


def bounded(reason: str) -> str:
    if len(reason) <= LONGEST_REASON:
        return reason
    return f"{reason[: LONGEST_REASON - 2]} …"
