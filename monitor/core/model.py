"""What JOB says, normalised over all generations of its API.

Everything here is frozen all the way down and compares by value. Nothing here
knows where it came from: the decoders in ``job/`` build it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain
from typing import Final, NewType

from msgspec import Struct

from monitor.core import codes

HostId = NewType("HostId", str)
"""Names an execute object, and says all that is shown of it (``address``).

``<bk_cloud_id>:<ip>`` from v2, ``<bk_cloud_id>:<ip>#<bk_host_id>`` where the id is
known; an IPv6-only host has no ip in v2 and v3. ``@<id> <container_id> <name>``
is a container.
"""

SCOPE_TYPES: Final = ("biz", "biz_set", "tenant_set")


class InstanceKey(Struct, frozen=True, order=True, cache_hash=True, gc=False):
    source: str
    scope_type: str
    scope_id: str
    job_instance_id: int

    def __str__(self) -> str:
        return f"{self.source}/{self.subject}"

    @property
    def subject(self) -> str:
        """The key without its source, as events carry it."""
        return f"{self.scope_type}/{self.scope_id}/{self.job_instance_id}"

    @property
    def scope(self) -> str:
        return f"{self.source}/{self.scope_type}/{self.scope_id}"


def read_key(text: str) -> InstanceKey | None:
    """Read a key back that ``str`` wrote; None where it names a scope or a source.

    >>> read_key("prod/biz/2/20000153").job_instance_id
    20000153
    """
    parts = text.split("/")
    if len(parts) != 4:
        return None
    source, scope_type, scope_id, number = parts
    return InstanceKey(source, scope_type, scope_id, int(number))


class Address(Struct, frozen=True, kw_only=True):
    """What a person, or CMDB, knows a host or container by."""

    ip: str | None = None
    bk_cloud_id: int | None = None
    bk_host_id: int | None = None
    container_id: str | None = None
    name: str | None = None


class Outcome(Struct, frozen=True, gc=False):
    """What a host's own script said at its end; v2 tells nothing of it."""

    exit_code: int | None = None
    tag: str = ""


class Failure(Struct, frozen=True, gc=False):
    """How and in which attempt a host was last seen failed."""

    status: int
    execute_count: int
    exit_code: int | None = None
    tag: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """A step as last known.

    *hosts* maps each host to its status code; where a host is in *stale*, no row
    of the latest answer spoke of it. *failures* holds each host that failed and
    has not recovered, also while a retry runs. A decoder leaves *stale* and
    *failures* empty: ``transitions.merged`` fills them. A decoder alone fills
    *outcomes*, for hosts that failed, and sets *partial* where rows were not asked
    for, or not all: then a host without a row is not stale.
    """

    step_instance_id: int
    status: int
    execute_count: int = 0
    name: str = ""
    type: int | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    hosts: Mapping[HostId, int] = {}
    stale: frozenset[HostId] = frozenset()
    failures: Mapping[HostId, Failure] = {}
    outcomes: Mapping[HostId, Outcome] = {}
    partial: bool = False

    def counts(self) -> dict[int, int]:
        """Count hosts by status code, the lowest code first."""
        counts: dict[int, int] = {}
        for status in self.hosts.values():
            counts[status] = counts.get(status, 0) + 1
        return dict(sorted(counts.items()))


class Snapshot(Struct, frozen=True, kw_only=True):
    """What JOB said about one instance at one moment.

    *outcome* is the last finished status known, also while the job runs again; a
    decoder leaves it empty.
    """

    status: int
    name: str = ""
    operator: str = ""
    plan_id: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    steps: tuple[Step, ...] = ()
    outcome: int | None = None

    @property
    def finished(self) -> bool:
        return codes.run(self.status).finished

    @property
    def awaits_person(self) -> bool:
        """Tell whether the job goes on only once somebody acts.

        While it is being stopped nobody can: a step that waited for a confirmation
        stays as it was, perhaps for ever. Source: bk-job ConfirmStepEventHandler,
        which has no branch for a stop, read 2026-11.
        """
        if self.finished or self.status == codes.STOPPING:
            return False
        statuses = (self.status, *(step.status for step in self.steps))
        return any(map(codes.needs_person, statuses))


def last_moved(snapshot: Snapshot) -> datetime | None:
    """Give the latest time that JOB itself tells; None where it tells none."""
    times = (snapshot.created_at, snapshot.started_at, snapshot.ended_at)
    steps = ((step.started_at, step.ended_at) for step in snapshot.steps)
    moments = [time for time in chain(times, *steps) if time is not None]
    return max(moments, default=None)


def host_id(ip: str | None, bk_cloud_id: int, bk_host_id: int | None = None) -> HostId:
    number = f"#{bk_host_id}" if bk_host_id else ""
    return HostId(f"{bk_cloud_id}:{ip or ''}{number}")


def container_id(number: int, container_id: str, name: str) -> HostId:
    return HostId(f"@{number} {container_id} {name}")


def address(host: HostId) -> Address:
    """Take a host id apart.

    >>> address(host_id("10.0.0.1", 3)).ip
    '10.0.0.1'
    """
    if host.startswith("@"):
        _, _, shown = host.partition(" ")
        container, _, name = shown.partition(" ")
        return Address(container_id=container, name=name)
    cloud, _, rest = host.partition(":")
    ip, _, number = rest.partition("#")
    return Address(
        ip=ip or None,
        bk_cloud_id=int(cloud),
        bk_host_id=int(number) if number else None,
    )


def without_number(host: HostId) -> HostId:
    """Give the host id that v2, which tells no bk_host_id, would have given."""
    return HostId(host.partition("#")[0])


def rows(pairs: Iterable[tuple[HostId, int]]) -> dict[HostId, int]:
    """Gather host rows; a host that appears twice takes its worst status.

    File-source rolling returns a row per batch and host, without naming the
    batch. Source: bk-job EsbGetJobInstanceStatusResourceImpl, read 2026-11.
    """
    hosts: dict[HostId, int] = {}
    for host, status in pairs:
        known = hosts.get(host)
        hosts[host] = status if known is None else codes.worst(known, status)
    return hosts


def unknown_codes(snapshot: Snapshot) -> frozenset[tuple[str, int]]:
    """List the codes in no table, as pairs like ``("host", 77)``."""
    runs = {snapshot.status, *(step.status for step in snapshot.steps)}
    hosts = {status for step in snapshot.steps for status in set(step.hosts.values())}
    return frozenset(
        {("run", number) for number in runs - codes.RUNS.keys()}
        | {("host", number) for number in hosts - codes.HOSTS.keys()}
    )
