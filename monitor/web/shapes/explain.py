"""Why sinks were told, or were not."""

from datetime import datetime

from msgspec import Struct

from monitor.core.explaining import SinkData, VerdictData
from monitor.web.shapes.alerts import AlertData


class GroupData(Struct, kw_only=True):
    """What was decided about one group, the latest first: that is in force."""

    group: str
    verdicts: list[VerdictData]


class ExplanationData(Struct, kw_only=True):
    """*kind* says what *of* is: ``event``, ``notification``, ``group`` or ``key``.

    Of an event there are its *type*, the time it was recorded *at*, and *sinks*; of a
    notification the decision that made it; of the others what holds now (*alerts*)
    and what was decided. Of all but events, *sinks* are those that nothing is decided
    for.
    """

    of: str
    kind: str
    at: datetime | None = None
    type: str = ""
    name: str = ""
    alerts: list[AlertData] = []
    sinks: list[SinkData] = []
    groups: list[GroupData] = []
