"""Everything that may go wrong on purpose, each with its remedy.

A class exists only where somebody does something different about it. The first
line of its docstring is the message it shows when it is given none.
"""

from datetime import timedelta
from typing import Final

EXCERPT: Final = 256


class MonitorError(Exception):
    """Something went wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class Misconfigured(MonitorError):
    """The configuration contradicts itself or the world.

    The process ends with exit code 78 and systemd leaves it stopped. *faults* are
    lines of the form ``path:line:column: reason``.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class SourceError(MonitorError):
    """A visit that ended without a snapshot.

    *request_ids* are the ids under which the other side can find the request.
    """

    def __init__(self, message: str = "", *, request_ids: str = "") -> None:
        super().__init__(message)
        self.request_ids = request_ids


class Unavailable(SourceError):
    """The source gave no answer: back off, then ask again."""


class Throttled(SourceError):
    """The source asks for fewer requests: obey.

    *retry_after* is a floor, *borne* how many requests a second it bears, where the
    source named them.
    """

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: timedelta | None = None,
        borne: float | None = None,
        request_ids: str = "",
    ) -> None:
        super().__init__(message, request_ids=request_ids)
        self.retry_after = retry_after
        self.borne = borne


class Refused(SourceError):
    """The source refuses our credentials: pause it, read them anew, tell a person."""


class Forbidden(SourceError):
    """JOB does not let us see this scope: tell a person once, ask rarely."""


class Missing(SourceError):
    """JOB knows no such instance: it is gone once that is confirmed."""


class Garbled(SourceError):
    """An answer that breaks the contract; at most 256 characters of it are shown.

    *whole_source*: it came from something else than JOB (a login page, a proxy),
    so it says something about the source and not about the instance.
    """

    def __init__(
        self, message: str = "", *, whole_source: bool = False, request_ids: str = ""
    ) -> None:
        super().__init__(message[:EXCERPT], request_ids=request_ids)
        self.whole_source = whole_source


class SinkError(MonitorError):
    """A delivery that did not happen."""


class Undelivered(SinkError):
    """The sink did not take it this time: try again.

    *retry_after* is a floor, where the sink named one.
    """

    def __init__(
        self, message: str = "", *, retry_after: timedelta | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(SinkError):
    """The sink will never take it: park it among the dead letters."""


class DaemonError(MonitorError):
    """The daemon did not do what it was asked to."""


class NoDaemon(DaemonError):
    """No daemon answers."""


class NotAllowed(DaemonError):
    """The daemon is not for us to talk to."""


class NotFound(DaemonError):
    """The daemon knows no such thing."""


class TooMuch(DaemonError):
    """More than fits."""


class StoreError(MonitorError):
    """The store cannot remember: crash; nothing was acknowledged."""


class Away(StoreError):
    """No database answers, or it has no time just now: ask again."""


class LeaseLost(StoreError):
    """Another daemon owns what was ours: begin anew, for nothing in memory is sure."""
