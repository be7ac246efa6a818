"""The daemons that share the store; with SQLite there is one, which owns everything."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from aiohttp import web

from monitor.core import cluster
from monitor.core.cluster import Node, SourceReport, View
from monitor.core.differences import differences
from monitor.ports import Now
from monitor.web import api
from monitor.web.api import asked, operation
from monitor.web.api.operation import Operation
from monitor.web.shapes.nodes import NodeData, NodesData, NodeSourceData

PATH: Final = f"{api.ROOT}/nodes"


def operations(view: Callable[[], View], now: Now) -> list[Operation]:
    async def show(_: web.Request) -> web.Response:
        return asked.answer(state(view(), now))

    return [
        operation.get(
            PATH, show, "Say who shares the store, and who owns what.", NodesData
        )
    ]


def state(view: View, now: Now) -> NodesData:
    return NodesData(
        items=[_told(node, now, me=node.name == view.me) for node in view.nodes],
        differences=differences(view),
    )


def _told(node: Node, now: Now, *, me: bool) -> NodeData:
    said = node.report
    return NodeData(
        name=cluster.told(node.name),
        id=node.name,
        me=me,
        state=node.state,
        started_at=node.started_at,
        seen_at=now() - timedelta(seconds=node.seen),
        version=said.version,
        url=said.url,
        owned=len(node.shards),
        shards=node.shards,
        watches=said.watches,
        waiting=said.waiting,
        late=said.late,
        sources={name: _source(each) for name, each in said.sources.items()},
    )


def _source(said: SourceReport) -> NodeSourceData:
    return NodeSourceData(
        standing=said.standing,
        watches=said.watches,
        rate=said.rate,
        in_flight=said.in_flight,
        throttled=said.throttled,
        late=said.late,
    )
