"""The daemons that share one store: what each says of itself, and what all know."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct, structs

from monitor.core.shards import ALL, SHARDS, quota

ALONE: Final = "alone"


def told(owner: str) -> str:
    """Write the name of a daemon as people read it."""
    node, _, rest = owner.partition("/")
    return f"{node} (process {rest.partition('/')[0]})" if rest else owner


class SourceReport(Struct, frozen=True, kw_only=True):
    """How one daemon sees one source.

    *need* is how many visits a second it would make unhindered, None: it has yet to
    count; *share*, the part of the budget that it claims. *seen*: its visits succeed;
    *lost*: none does, for this *cause*; *doubted*: it looks, and cannot say; none of
    them: it does not look. *refused*: scopes that JOB does not let it see, with the
    reason. *late*: by how many seconds its visits began late, on
    average. *unseen*: some of the keys of whom JOB has said nothing so far. What else
    there is, is as in ``web.shapes.sources``.
    """

    need: float | None = None
    share: float = 0.0
    watches: int = 0
    seen: bool = False
    doubted: bool = False
    lost: bool = False
    cause: str = ""
    refused: Mapping[str, str] = {}
    late: float = 0.0
    standing: str = ""
    since: datetime | None = None
    rate: float | None = None
    in_flight: int = 0
    width: int = 0
    throttled: int = 0
    requests: Mapping[str, int] = {}
    unseen: tuple[str, ...] = ()


class SinkReport(Struct, frozen=True, kw_only=True):
    """How one daemon fares with one sink; fields are as in ``outlet.Health``.

    *waiting* messages and *unread* events are of its shards.
    """

    condition: str
    since: datetime | None = None
    error: str = ""
    until: datetime | None = None
    taken_at: datetime | None = None
    failed_at: datetime | None = None
    waiting: int = 0
    unread: int = 0


UNKNOWN: Final = SourceReport(doubted=True)
"""What is known of a source at a daemon that has yet to say something of itself."""


class Report(Struct, frozen=True, kw_only=True):
    """What a daemon says of itself at each renewal; no *version*: nothing so far.

    *machine* names where it runs, also after a restart. *late*: for how many seconds
    a visit has been due that has not begun; *waiting*: messages on their way, events
    that a sink has yet to read among them. *settings* are digests of what it is told to
    do, by part, to be compared with those of others.
    """

    version: str = ""
    machine: str = ""
    url: str = ""
    watches: int = 0
    waiting: int = 0
    late: float = 0.0
    sources: Mapping[str, SourceReport] = {}
    sinks: Mapping[str, SinkReport] = {}
    settings: Mapping[str, str] = {}


class Node(Struct, frozen=True, kw_only=True):
    """One daemon; *name* is used once. *seen* is how many seconds ago it was heard of."""

    name: str
    started_at: datetime
    seen: float
    draining: bool
    living: bool
    report: Report
    shards: tuple[int, ...] = ()

    def about(self, source: str) -> SourceReport | None:
        """Say how it sees *source*; None: it does not know that there is one."""
        if not self.report.version:
            return UNKNOWN
        return self.report.sources.get(source)

    @property
    def state(self) -> str:
        """``living``, ``draining`` (it gives up what it owns) or ``gone``."""
        if not self.living:
            return "gone"
        return "draining" if self.draining else "living"


class View(Struct, frozen=True, kw_only=True):
    """All daemons, as of the last renewal of the one called *me*."""

    me: str = ALONE
    nodes: tuple[Node, ...] = ()

    @property
    def living(self) -> int:
        """Count those that take part: what may be asked is divided among them."""
        return max(1, self.present)

    @property
    def present(self) -> int:
        """Count those that take part; none where not even this one is sure of it."""
        return sum(node.living and not node.draining for node in self.nodes)

    @property
    def heirs(self) -> list[Node]:
        """Give the others that can take shards: who says nothing yet is still starting."""
        others = (node for node in self.others() if not node.draining)
        return [node for node in others if node.report.version]

    @property
    def quota(self) -> int:
        """Say how many shards this daemon owns at most."""
        heirs = self.heirs
        fewest = min((len(node.shards) for node in heirs), default=SHARDS)
        return quota(1 + len(heirs), fewest)

    def machines(self) -> set[str]:
        """Name where those run that live."""
        return {node.report.machine for node in self.nodes if node.living}

    def others(self) -> list[Node]:
        """Give those that live, but for this one."""
        return [node for node in self.nodes if node.living and node.name != self.me]

    def elsewhere(self, source: str) -> list[SourceReport]:
        """Say how those see *source* that live and stay, but for this one."""
        staying = (node.about(source) for node in self.others() if not node.draining)
        return [said for said in staying if said is not None]

    def reports(self) -> list[tuple[str, Report]]:
        """Give what those say that live, with their names."""
        return [(node.name, node.report) for node in self.nodes if node.living]

    def owner(self, shard: int) -> str | None:
        """Name whose *shard* is; None: nobody's at the moment."""
        for node in self.nodes:
            if node.living and shard in node.shards:
                return node.name
        return None

    def unowned(self) -> frozenset[int]:
        """Give the shards that no living daemon owns."""
        return ALL.difference(*(n.shards for n in self.nodes if n.living))

    def aged(self, seconds: float, lasts: float) -> "View":
        """Give it as it is so many *seconds* later; who is silent for *lasts* is gone."""
        return structs.replace(
            self,
            nodes=tuple(_aged(node, node.seen + seconds, lasts) for node in self.nodes),
        )

    def with_mine(self, shards: Collection[int], report: Report) -> "View":
        """Give it with what this daemon owns and says by now."""
        return structs.replace(self, nodes=tuple(self._updated(shards, report)))

    def _updated(self, shards: Collection[int], report: Report) -> Iterator[Node]:
        for node in self.nodes:
            if node.name == self.me:
                mine = tuple(sorted(shards))
                yield structs.replace(node, shards=mine, report=report)
            else:
                theirs = tuple(each for each in node.shards if each not in shards)
                yield structs.replace(node, shards=theirs)


def _aged(node: Node, seen: float, lasts: float) -> Node:
    living = node.living and seen < lasts
    shards = node.shards if living else ()
    return structs.replace(node, seen=seen, living=living, shards=shards)


def lost(said: Iterable[SourceReport]) -> bool | None:
    """Tell whether nobody sees the source; None: nobody can tell for sure."""
    said = [*said]
    if any(each.seen for each in said):
        return False
    if any(each.doubted for each in said):
        return None
    return any(each.lost for each in said) or None
