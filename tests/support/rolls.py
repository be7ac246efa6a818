"""A membership that met other nodes at its only renewal."""

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from monitor.core.cluster import Node, Report, View
from monitor.holdings import Holdings
from monitor.store.lease import Epochs, Held
from monitor.store.membership import Membership
from monitor.store.roll import Seen

STARTED: Final = datetime(2026, 11, 29, 12, tzinfo=UTC)
ME: Final = "vm-1/812/a"
OTHER: Final = "vm-2/790/b"


def a_node(
    name: str = OTHER,
    shards: Collection[int] = (),
    report: Report = Report(),  # noqa: B008 - frozen
    **more: Any,
) -> Node:
    said = {"seen": 1.0, "draining": False, "living": True, **more}
    return Node(
        name=name,
        started_at=STARTED,
        report=report,
        shards=tuple(shards),
        **said,
    )


class Fixed:
    """Satisfies ``membership.Roll``: *nodes* are there, and nothing is free."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes

    def renew(self, held: Epochs, report: Report, *, draining: bool) -> Seen:
        mine = a_node(ME, held, report, seen=0.0, draining=draining)
        leases = [Held(shard, ME, epoch, 10.0) for shard, epoch in held.items()]
        return Seen(
            kept=held,
            leases=leases,
            view=View(me=ME, nodes=(mine, *self._nodes)),
            news={},
            position=0,
            ahead=0.0,
        )

    def claim(self, wanted: Collection[int]) -> Epochs:
        return {}

    def release(self, left: Collection[int]) -> None:
        pass

    def leave(self, left: Collection[int]) -> None:
        pass


async def at_once(job: Callable[[], Any]) -> Any:
    return job()


async def met(holdings: Holdings, *nodes: Node) -> Membership:
    found = Membership(
        Fixed(nodes), ME, holdings, at_once, reached=lambda _: None, luck=lambda: 0.5
    )
    await found.join()
    return found
