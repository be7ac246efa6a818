"""A notification, as far as formats show it, whatever is absent.

Read anew from its JSON: one that was stored by an earlier release may lack what
was added since.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from monitor import errors
from monitor.core.message import NOTIFICATION, Message


class Named(Struct, frozen=True):
    name: str = ""


class Instance(Struct, frozen=True):
    source: str = ""
    bk_scope_type: str = ""
    bk_scope_id: str = ""
    job_instance_id: int = 0
    name: str = ""

    @property
    def scope(self) -> str:
        return f"{self.bk_scope_type}/{self.bk_scope_id}"

    @property
    def key(self) -> str:
        return f"{self.source}/{self.scope}/{self.job_instance_id}"


class Step(Struct, frozen=True):
    step_instance_id: int = 0
    execute_count: int = 0
    name: str = ""


class Host(Struct, frozen=True):
    ip: str | None = None
    name: str | None = None
    container_id: str | None = None
    bk_host_id: int | None = None

    def __str__(self) -> str:
        return self.ip or self.name or self.container_id or f"#{self.bk_host_id or 0}"


class Cluster(Struct, frozen=True):
    status: int = 0
    status_name: str = ""
    exit_code: int | None = None
    tag: str = ""
    count: int = 0
    hosts: tuple[Host, ...] = ()
    log: str = ""
    log_cut: int = 0
    kinds: int = 1


class Ended(Struct, frozen=True, kw_only=True):
    name: str
    severity: str = ""
    since: datetime
    instance: Instance | None = None
    labels: Mapping[str, str] = {}
    step: Step | None = None


class Alert(Ended, frozen=True, kw_only=True):
    summary: str = ""
    failed: int = 0
    total: int = 0
    clusters: tuple[Cluster, ...] = ()
    link: str | None = None


class Notification(Struct, frozen=True, kw_only=True):
    status: str = "firing"
    reason: str = ""
    severity: str = ""
    group: str = ""
    instance: Instance | None = None
    labels: Mapping[str, str] = {}
    link: str | None = None
    summary: str = ""
    alerts: tuple[Alert, ...] = ()
    omitted: int = 0
    ended: tuple[Ended, ...] = ()

    @property
    def firing(self) -> bool:
        return self.status == "firing"

    @property
    def several(self) -> bool:
        """It is about several instances: those are named by their alerts."""
        whose = {each.instance for each in (*self.alerts, *self.ended)}
        return self.instance is None and len(whose - {None}) > 0


def notification(message: Message) -> Notification:
    """Read one; Rejected for what is none."""
    if message.type != NOTIFICATION:
        raise errors.Rejected(f"{message.type} is no notification")
    try:
        return msgspec.json.decode(message.data, type=Notification, strict=False)
    except msgspec.MsgspecError as exc:
        raise errors.Rejected(f"the notification cannot be read: {exc}") from None
