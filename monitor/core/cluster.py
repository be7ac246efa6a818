"""The daemons that share one store: what each says of itself, and what all know."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

ALONE: Final = "alone"


class SourceReport(Struct, frozen=True, kw_only=True):
    """How one daemon sees one source.

    *need* is how many visits a second it would make unhindered, None: it has yet to
    count; *share*, the part of the budget that it claims. *seen*: its visits succeed;
    *lost*: none does, for this *cause*; *doubted*: it looks, and cannot say; none of
    them: it does not look. *refused*: scopes that JOB does not let it see, with the
    reason. *late*: by how many seconds visits begin late.
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


UNKNOWN: Final = SourceReport(doubted=True)
"""What is known of a source at a daemon that has yet to say something of itself."""


class Report(Struct, frozen=True, kw_only=True):
    """What a daemon says of itself at each renewal; no *version*: nothing so far."""

    version: str = ""
    url: str = ""
    watches: int = 0
    waiting: int = 0
    sources: Mapping[str, SourceReport] = {}


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


class View(Struct, frozen=True, kw_only=True):
    """All daemons, as of the last renewal of the one called *me*."""

    me: str = ALONE
    nodes: tuple[Node, ...] = ()

    @property
    def living(self) -> int:
        """Count those that take part: shards are divided among them."""
        return max(1, sum(node.living and not node.draining for node in self.nodes))

    def others(self) -> list[Node]:
        """Give those that live, but for this one."""
        return [node for node in self.nodes if node.living and node.name != self.me]

    def elsewhere(self, source: str) -> list[SourceReport]:
        """Say how those see *source* that live and stay, but for this one."""
        staying = (node.about(source) for node in self.others() if not node.draining)
        return [said for said in staying if said is not None]


def lost(said: Iterable[SourceReport]) -> bool | None:
    """Tell whether nobody sees the source; None: nobody can tell for sure."""
    said = [*said]
    if any(each.seen for each in said):
        return False
    if any(each.doubted for each in said):
        return None
    return any(each.lost for each in said) or None
