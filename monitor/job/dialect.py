"""What the generations of the API differ in, chosen once for each source.

A dialect says what to ask and reads the ``data`` of what comes back, or raises a
``SourceError``; the envelope around it and the way there are not its business.
"""

from datetime import tzinfo
from typing import Protocol

from msgspec import Raw

from monitor.core.model import InstanceKey, Snapshot
from monitor.job.ask import Api, Ask
from monitor.job.v2 import V2
from monitor.job.v3 import V3
from monitor.job.v4 import V4
from monitor.ports import Means


class Dialect(Protocol):
    @property
    def means(self) -> Means: ...

    def look(self, key: InstanceKey, *, hosts: bool) -> Ask: ...

    def snapshot(self, data: Raw, key: InstanceKey, *, hosts: bool) -> Snapshot: ...


def of(api: Api, timezone: tzinfo) -> Dialect:
    match api:
        case "esb-v2":
            return V2(timezone)
        case "esb-v3" | "gateway-v3":
            return V3()
        case "gateway-v4":
            return V4()
