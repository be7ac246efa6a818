"""What was recorded against what was received: each difference is a sentence."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.e2e.receiver import Delivery, Receiver
from tests.e2e.record import Record


def faults(receiver: Receiver, record: Record) -> list[str]:
    return [
        *losses(receiver, record),
        *inventions(receiver, record),
        *disorder(receiver.events()),
        *forgeries(receiver),
    ]


def losses(receiver: Receiver, record: Record) -> Iterator[str]:
    """List what was recorded and never taken, and holes in the record."""
    taken = {delivery.id for delivery in receiver.taken}
    last: dict[str, int] = defaultdict(int)
    for event in record.events():
        if event.id not in taken:
            yield f"{event.id}: recorded, never taken"
        if event.sequence != last[event.key] + 1:
            yield f"{event.id}: recorded after {last[event.key]}"
        last[event.key] = event.sequence or 0
    yield from (f"{id_}: buried" for id_ in record.buried())


def inventions(receiver: Receiver, record: Record) -> Iterator[str]:
    """List ids with two bodies, and events that were received and not recorded."""
    bodies: dict[str, set[bytes]] = defaultdict(set)
    for delivery in receiver.deliveries:
        bodies[delivery.id].add(delivery.body)
    yield from (f"{id_}: {len(b)} bodies" for id_, b in bodies.items() if len(b) > 1)
    recorded = {event.id: event.cloudevent() for event in record.events()}
    for delivery in receiver.events():
        if recorded.get(delivery.id) != delivery.body:
            yield f"{delivery.id}: received, not recorded"


def disorder(events: Sequence[Delivery]) -> Iterator[str]:
    """List events that were taken before the one before them."""
    last: dict[str, int] = defaultdict(int)
    for event in events:
        key, number = event.said["partitionkey"], int(event.said["sequence"])
        if number != last[key] + 1:
            yield f"{event.id}: taken after {last[key]}"
        last[key] = number


def forgeries(receiver: Receiver) -> Iterator[str]:
    """List what the receivers' library would not believe."""
    yield from (f"{d.id}: not genuine" for d in receiver.deliveries if not d.genuine)
