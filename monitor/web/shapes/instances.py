"""Instances: as lists show them, and one with all that is known of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from monitor.core.notifications import ClusterData
from monitor.core.wording import HostData
from monitor.web.shapes.alerts import AlertData
from monitor.web.shapes.watches import WatchData


class ListedData(Struct, kw_only=True):
    """*status* is null until it was seen; *meaning* is one of ``core.codes.Meaning``.

    *phase*: ``watched``, ``retired`` (it ended long ago) or ``unwatched``. *alerts*
    names what is wrong, *severity* says how bad the worst is, *since* when the first
    began. *failed* of *hosts* hosts have not recovered. *paused*: nobody looks at it
    for a time.
    """

    key: str
    source: str
    bk_scope_type: str
    bk_scope_id: str
    job_instance_id: int
    name: str
    phase: str
    status: int | None
    status_name: str
    meaning: str
    severity: str
    alerts: Sequence[str]
    since: datetime | None
    failed: int
    hosts: int
    changed_at: datetime | None
    finished_at: datetime | None
    labels: Mapping[str, str]
    link: str | None
    paused: bool = False


class HostCountData(Struct, kw_only=True):
    """So many hosts have this status; *failed*: it is a failure."""

    status: int
    status_name: str
    meaning: str
    hosts: int


class StepStateData(Struct, kw_only=True):
    """A step in its last attempt, *execute_count*, from 0.

    *counts* are of hosts by status; *failed* have failed and not recovered, gathered
    by how in *clusters*.
    """

    step_instance_id: int
    execute_count: int
    name: str
    type: int | None
    status: int
    status_name: str
    meaning: str
    started_at: datetime | None
    ended_at: datetime | None
    hosts: int
    failed: int
    counts: list[HostCountData]
    clusters: list[ClusterData]
    link: str | None


class DistinctData(Struct, kw_only=True):
    """Of all steps together, each host once; *unfinished* are waiting or running."""

    hosts: int
    failed: int
    unfinished: int


class InstanceStateData(ListedData, kw_only=True):
    """*seen_at* is when it was last looked at, *next_at* when it will be; null: never.

    *failures*: so many looks in a row have failed since. *owner* is the node that looks
    at it, null where none does; where that is not the node that answers, the other three
    are not known here, and null. *sequence* is that of its last event. *watch* is null
    where nobody watches it.
    """

    operator: str
    plan_id: int | None
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    gone: bool
    sequence: int
    seen_at: datetime | None
    next_at: datetime | None
    failures: int | None
    distinct: DistinctData
    steps: list[StepStateData]
    problems: list[AlertData]
    watch: WatchData | None
    owner: str | None = None


class HostStateData(HostData, kw_only=True):
    """A host of a step; *stale*: the last answer said nothing of it.

    *failed_in* is the attempt in which it failed, and *failed_status* how, if it has
    not recovered.
    """

    stale: bool = False
    failed_in: int | None = None
    failed_status: int | None = None
