"""The daemons that share the store: who lives, and who owns what."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from monitor.core.differences import Difference
from monitor.web.shapes.page import PageData


class NodeSourceData(Struct, kw_only=True):
    """How a node sees a source; fields are as in ``shapes.sources``."""

    standing: str
    watches: int
    rate: float | None
    in_flight: int
    throttled: int
    late: float


class NodeData(Struct, kw_only=True):
    """*name* is for people, *id* is used once. *me*: it is the one that answers.

    *state*: ``living``, ``draining`` (it gives up what it owns, and ends) or ``gone``
    (it was not heard of for as long as a lease lasts). *seen_at* is when it was heard of
    last. *url* is where it listens, empty where it does not. It owns *shards*, looks at
    *watches* instances, and *waiting* messages are its to deliver, events that a sink
    has yet to read among them. *late*: for how many seconds a visit has been due that
    has not begun.
    """

    name: str
    id: str
    me: bool
    state: str
    started_at: datetime
    seen_at: datetime
    version: str
    url: str
    owned: int
    shards: Sequence[int]
    watches: int
    waiting: int
    late: float
    sources: Mapping[str, NodeSourceData]


class NodesData(PageData[NodeData], kw_only=True):
    """*differences*: what nodes that live were told differently."""

    differences: Sequence[Difference] = ()
