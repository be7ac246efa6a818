"""What is on record, and what people were told, against what JOB really has."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from monitor.core.model import Snapshot
from monitor.simulator.timeline import Moment, Row
from monitor.simulator.world import World
from tests.e2e.receiver import Receiver
from tests.e2e.record import Record


class Truth(Struct, frozen=True):
    """An instance as far as both sides know it: statuses, attempts, hosts."""

    status: int
    steps: tuple[tuple[int, int, Mapping[str, int]], ...]


def untrue(
    world: World, record: Record
) -> Iterator[tuple[str, Truth | None, Truth | None]]:
    """List the instances that are on record otherwise than JOB has them."""
    states = record.states()
    for instance in world.instances.values():
        state = states.get(key := f"prod/biz/{instance}")
        moment = instance.moment(world.now())
        known = _known(state.snapshot) if state and state.snapshot else None
        true = _true(moment) if moment else None
        if known != true:
            yield key, known, true


def _known(snapshot: Snapshot) -> Truth:
    steps = (
        (s.status, s.execute_count, {str(h): n for h, n in s.hosts.items()})
        for s in snapshot.steps
    )
    return Truth(snapshot.status, tuple(steps))


def _true(moment: Moment) -> Truth:
    steps = ((s.status, s.execute_count, _hosts(s.rows)) for s in moment.steps)
    return Truth(moment.status, tuple(steps))


def _hosts(rows: Sequence[Row]) -> dict[str, int]:
    """Give the status of each host; of two rows the one that failed counts."""
    successes_first = sorted(rows, key=lambda row: row.status != 9)
    return {f"{r.host.bk_cloud_id}:{r.host.ip}": r.status for r in successes_first}


def mistold(receiver: Receiver, record: Record) -> Iterator[str]:
    """List the instances whose last notification says other than what holds."""
    last: dict[str, Any] = {}
    for notification in receiver.notifications:
        last[notification.said["partitionkey"]] = notification.data["alerts"]
    for key, state in record.states().items():
        holds = sorted((a.name.value, a.failed) for a in state.alerts.values())
        told = sorted((a["name"], a["failed"]) for a in last.get(key, []))
        if told != holds:
            yield f"{key}: told {told}, but {holds} hold"
