"""All daemons that share the store, as this one knows them; on SQLite it is alone.

What only its owner knows is heard from the others' reports, which are two seconds old
or so; of itself it says what is so by now.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import anyio
from msgspec import structs

from monitor import metering
from monitor.core.cluster import (
    Node,
    Report,
    SinkReport,
    SourceReport,
    View,
    told,
)
from monitor.core.differences import differences
from monitor.core.model import InstanceKey
from monitor.core.reach import Standing
from monitor.core.shards import ALL, shard
from monitor.holdings import Holdings
from monitor.metering import Sample
from monitor.store import lease
from monitor.store.membership import Membership
from monitor.web.shapes.sources import SourceData

Sight = SourceData | SourceReport

_LADDER: Final = tuple(Standing)


class Neighbours:
    """*report* says what this daemon says of itself."""

    def __init__(
        self,
        membership: Membership | None,
        holdings: Holdings,
        report: Callable[[], Report],
        *,
        started_at: datetime,
    ) -> None:
        self._membership = membership
        self._holdings = holdings
        self._report = report
        self._started_at = started_at
        self._name = lease.name()

    @property
    def shared(self) -> bool:
        """Tell whether there may be any other."""
        return self._membership is not None

    def view(self) -> View:
        return self._known(self._report())

    def _known(self, report: Report = Report()) -> View:  # noqa: B008 - frozen
        if self._membership is None:
            return View(me=self._name, nodes=(self._alone(report),))
        owned = self._holdings.active if self._holdings.sure() else ()
        return self._membership.seen().with_mine(owned, report)

    def _alone(self, report: Report) -> Node:
        return Node(
            name=self._name,
            started_at=self._started_at,
            seen=0.0,
            draining=False,
            living=True,
            report=report,
            shards=tuple(sorted(ALL)),
        )

    def samples(self) -> Iterator[Sample]:
        """Satisfies ``metering.Meter``."""
        view, holdings = self._known(), self._holdings
        left = holdings.deadline - anyio.current_time()
        yield from metering.cluster(
            nodes=view.present,
            differences=self._differences(),
            owned=len(holdings.active) if left > 0 else 0,
            unowned=len(view.unowned()),
            lease=max(0.0, left),
        )

    def _differences(self) -> int:
        """Count them as of the last renewal: what this one says of itself is dear."""
        return len(differences(self._membership.seen())) if self._membership else 0

    def trouble(self) -> str:
        """Say why nothing is to be expected of this daemon; empty: it takes part."""
        if self._membership is None:
            return ""
        if self._membership.draining:
            return "it gives up its shards, and ends"
        if not self._holdings.sure():
            silent = self._membership.age
            return f"its lease is not sure: not renewed for {silent:.0f} s"
        return ""

    def owner(self, key: InstanceKey) -> str | None:
        """Name who looks at *key*, as people read it; None: nobody at the moment."""
        if self._membership is None:
            return told(self._name)
        found = self._known().owner(shard(str(key)))
        return None if found is None else told(found)

    def others(self) -> list[Node]:
        """Give those that live, but for this one."""
        return self._membership.seen().others() if self._membership else []

    def watches(self, mine: int) -> int:
        """Count the instances that are looked at, *mine* by this daemon."""
        return mine + sum(node.report.watches for node in self.others())

    def sources(self, mine: Sequence[SourceData]) -> list[SourceData]:
        """Say how all together see the sources that this one sees like *mine*."""
        others = self.others()
        return [
            _together(each, [*_of_source(others, each.name)]) if others else each
            for each in mine
        ]

    def unseen(self, source: str) -> Iterator[str]:
        """Name some of whom JOB has said nothing to the others so far."""
        for each in _of_source(self.others(), source):
            yield from each.unseen

    def sinks(self, name: str) -> list[tuple[str, SinkReport]]:
        """Say how the others fare with the sink called *name*."""
        return [
            (told(node.name), node.report.sinks[name])
            for node in self.others()
            if name in node.report.sinks
        ]


def _of_source(nodes: Iterable[Node], name: str) -> Iterator[SourceReport]:
    for node in nodes:
        if name in node.report.sources:
            yield node.report.sources[name]


def _together(mine: SourceData, others: Sequence[SourceReport]) -> SourceData:
    """Sum up; of what cannot be summed the worst counts."""
    requests = Counter(mine.requests)
    for each in others:
        requests.update(each.requests)
    rates = [mine.rate, *(each.rate for each in others)]
    return structs.replace(
        mine,
        **_standing(mine, others),
        watches=mine.watches + sum(each.watches for each in others),
        rate=None if None in rates else sum(rate or 0.0 for rate in rates),
        in_flight=mine.in_flight + sum(each.in_flight for each in others),
        width=mine.width + sum(each.width for each in others),
        throttled=mine.throttled + sum(each.throttled for each in others),
        requests=dict(requests),
        late=max([mine.late, *(each.late for each in others)]),
    )


def _standing(mine: SourceData, others: Sequence[SourceReport]) -> dict[str, Any]:
    """It is lost where nobody sees it, and doubted where only some do.

    Whoever looks at nothing there knows nothing of it, unless that is so of all.
    """
    every: list[Sight] = [mine, *others]
    looking = [each for each in every if each.watches] or every
    found = sorted(looking, key=lambda each: _LADDER.index(each.standing or "seen"))
    best, worst = found[0], found[-1]
    if best.standing == worst.standing:
        return {"standing": worst.standing, "since": worst.since}
    return {"standing": Standing.DOUBTED, "since": worst.since}
