"""The daemons that share one store: what each says of itself, and what all know."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct

ALONE: Final = "alone"


class SourceReport(Struct, frozen=True, kw_only=True):
    """How one daemon sees one source.

    *need* is how much of its budget it could use, against others; *lost*: no visit
    of its own succeeds, for this *cause*; *refused*: scopes that JOB does not let it
    see, with the reason. *late*: by how many seconds visits begin late.
    """

    need: float = 0.0
    watches: int = 0
    lost: bool = False
    cause: str = ""
    refused: Mapping[str, str] = {}
    late: float = 0.0


class Report(Struct, frozen=True, kw_only=True):
    """What a daemon says of itself at each renewal.

    *machine* names where it runs, also after a restart.
    """

    version: str = ""
    machine: str = ""
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


class View(Struct, frozen=True, kw_only=True):
    """All daemons, as of the last renewal of the one called *me*."""

    me: str = ALONE
    nodes: tuple[Node, ...] = ()

    @property
    def living(self) -> int:
        """Count those that take part: shards are divided among them."""
        return max(1, sum(node.living and not node.draining for node in self.nodes))

    def machines(self) -> set[str]:
        """Name where those run that live."""
        return {node.report.machine for node in self.nodes if node.living}

    def others(self) -> list[Node]:
        """Give those that live, but for this one."""
        return [node for node in self.nodes if node.living and node.name != self.me]
