"""An alert that holds."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from monitor.core.wording import InstanceData, StepData


class AlertData(Struct, kw_only=True):
    """*key* names the instance, scope or source, *id* the alert among its own."""

    key: str
    id: str
    name: str
    severity: str
    since: datetime
    instance: InstanceData | None
    labels: Mapping[str, str]
    step: StepData | None
    summary: str
    failed: int
    total: int
    link: str | None
