"""Who is told of which alert, grouped with what: a tree of routes as Alertmanager's.

An alert descends from the root to the first child that matches it, and to the
ones after that as long as those before say ``continue``; where no child matches,
the route itself is meant.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from msgspec import Struct

from monitor.core import matchers
from monitor.core.matchers import Matcher, Op
from monitor.core.telling import Rules

INSTANCE: Final = "instance"
PLAN: Final = "plan"
_SHOWN: Final = 128


class Route(Struct, frozen=True, kw_only=True):
    """*name* is where it stands in the configuration. *by*: traits that make a group.

    *ungrouped*, of the root alone: sinks that group by themselves, and so are told of
    each instance.
    """

    name: str
    sinks: tuple[str, ...]
    matchers: tuple[Matcher, ...] = ()
    by: tuple[str, ...] = (INSTANCE,)
    rules: Rules = Rules()
    goes_on: bool = False
    routes: tuple["Route", ...] = ()
    ungrouped: frozenset[str] = frozenset()


class Destination(Struct, frozen=True):
    sink: str
    group: str
    route: Route


def destinations(
    root: Route,
    key: str,
    traits: Mapping[str, str],
    *,
    instance: bool,
) -> tuple[Destination, ...]:
    """List where an alert of *key* goes, each sink once for each group.

    *instance*: the alert is about an instance; others are groups of their own.
    """
    found: dict[tuple[str, str], Destination] = {}
    for route in matching(root, traits):
        several = group_of(route.by, key, traits) if instance else key
        for sink in route.sinks:
            group = key if sink in root.ungrouped else several
            found.setdefault((sink, group), Destination(sink, group, route))
    return tuple(found.values())


def matching(route: Route, traits: Mapping[str, str]) -> Iterator[Route]:
    """List the routes that an alert with *traits* ends at, in their order."""
    if not matchers.all_match(route.matchers, traits):
        return
    descended = False
    for child in route.routes:
        ends = list(matching(child, traits))
        yield from ends
        descended = descended or bool(ends)
        if ends and not child.goes_on:
            break
    if not descended:
        yield route


def group_of(by: Collection[str], key: str, traits: Mapping[str, str]) -> str:
    """Name the group that an alert about instance *key* belongs to.

    Sources do not share groups: what is known of one says nothing of another. A
    job that was not started from a plan is a plan of its own.
    """
    if INSTANCE in by or (PLAN in by and not traits.get(PLAN)):
        return key
    source = key.partition("/")[0]
    common = [Matcher(t, Op.EQUAL, traits.get(t, "")[:_SHOWN]) for t in by]
    return f"{source}/{{{','.join(map(str, common))}}}"


def is_several(group: str) -> bool:
    """Tell a group of several instances from a key."""
    return group.endswith("}")


def sinks(route: Route) -> Iterator[str]:
    """List all sinks that *route* may lead to, some more than once."""
    yield from route.sinks
    for child in route.routes:
        yield from sinks(child)
