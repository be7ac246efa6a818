"""What the generations of the API differ in, chosen once for each source.

A dialect says what to ask and how to read the ``data`` of what comes back, or that
it has no words for it, with ``Garbled``; the envelope around the data and the way
there are not its business.
"""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Protocol

from monitor.core.listing import Page, Query
from monitor.core.model import HostId, InstanceKey, Snapshot, Step
from monitor.job.ask import Api, Ask
from monitor.job.v2 import V2
from monitor.job.v3 import V3
from monitor.job.v4 import V4
from monitor.ports import Means


class Dialect(Protocol):
    @property
    def means(self) -> Means: ...

    def look(self, key: InstanceKey, *, hosts: bool) -> Ask[Snapshot]: ...

    def groups(self, key: InstanceKey, step: Step, most: int) -> Ask[Step]: ...

    def page(self, query: Query, source: str) -> Ask[Page]: ...

    def tails(
        self, key: InstanceKey, step_instance_id: int, hosts: Sequence[HostId]
    ) -> Sequence[Ask[Mapping[HostId, str]]]: ...


def of(api: Api, timezone: tzinfo) -> Dialect:
    match api:
        case "esb-v2":
            return V2(timezone)
        case "esb-v3" | "gateway-v3":
            return V3()
        case "gateway-v4":
            return V4()
