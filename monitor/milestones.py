"""What whoever started the daemon may want to hear of it: how far it is."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from msgspec import Struct


class Hitch(Struct, frozen=True):
    """A visit should begin or end any moment now; *moves* grows when one does.

    Something is wrong only once nothing has moved for *patience* seconds.
    """

    moves: int
    patience: float


class Summary(Struct, frozen=True, kw_only=True):
    """How it fares: *alerting* of those watched, sources *lost*, messages *waiting*.

    *refused*: the last reload changed nothing, for the configuration is at fault.
    """

    watched: int
    alerting: int
    lost: tuple[str, ...] = ()
    waiting: int = 0
    refused: bool = False


class Starting(Struct, frozen=True):
    """Settings are read; a store that must be migrated may take its time."""


class Ready(Struct, frozen=True):
    """It watches, after a start or a reload, be it one that was refused.

    *answers* returns when the store has answered; *hitches* are by source. All are
    cheap to ask, and may be asked until the next milestone.
    """

    answers: Callable[[], Awaitable[None]]
    hitches: Callable[[], Mapping[str, Hitch]]
    summary: Callable[[], Summary]


class Reloading(Struct, frozen=True):
    """The configuration is read anew, and perhaps all is built anew."""


class Stopping(Struct, frozen=True):
    """It was told to stop, and delivers what it has for up to *grace* seconds."""

    grace: float


Milestone: TypeAlias = Starting | Ready | Reloading | Stopping
Hear = Callable[[Milestone], None]


def unheard(_: Milestone) -> None:
    """Hear for nobody: the daemon was started by hand."""
