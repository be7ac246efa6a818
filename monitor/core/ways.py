"""Which ways an alert takes to the sinks, for whoever tries routes; tells nobody.

The shape is public, here and wherever it stands inside others.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from monitor.core import model, routing
from monitor.core.alerts import Name
from monitor.core.routing import Destination, Route

Traits = Mapping[str, str]
Unfit = Callable[[Traits], str]
"""Names what of a sink's own match leaves out an alert with these traits."""

_OF_NO_INSTANCE: Final = frozenset({Name.SOURCE_LOST, Name.JOB_REFUSED})


class WayData(Struct, kw_only=True, frozen=True):
    """How an alert comes to a sink, or why it does not; times are in seconds.

    *route* is empty where none leads there, *rule* what the route itself matches.
    *unfit*: what of the sink's own match leaves it out.
    """

    sink: str
    route: str = ""
    rule: tuple[str, ...] = ()
    group: str = ""
    after: float = 0.0
    group_wait: float = 0.0
    group_interval: float = 0.0
    repeat_interval: float = 0.0
    unfit: str = ""

    @property
    def told(self) -> bool:
        return bool(self.route) and not self.unfit


class Ways:
    """The routes of one configuration; *sinks* are those that take alerts."""

    def __init__(self, root: Route, sinks: Mapping[str, Unfit]) -> None:
        self._root = root
        self._sinks = sinks

    def of(self, key: str, traits: Traits) -> tuple[WayData, ...]:
        """List the ways of an alert of *key*, at least one for each sink."""
        about = model.read_key(key) is not None
        return self._all(
            routing.destinations(self._root, key, traits, instance=about), traits
        )

    def of_traits(self, traits: Traits, source: str) -> tuple[WayData, ...]:
        """List the ways of an alert of which there are traits alone."""
        about = traits.get("alert") not in _OF_NO_INSTANCE
        other = (
            traits.get("scope", "") if traits.get("alert") == Name.JOB_REFUSED else ""
        )
        key = f"{source}/{other}" if other else source
        if about:
            key = traits.get("instance") or f"{source}/<instance>"
        return self._all(
            routing.destinations(self._root, key, traits, instance=about), traits
        )

    def _all(
        self, found: tuple[Destination, ...], traits: Traits
    ) -> tuple[WayData, ...]:
        return tuple(self._listed(found, traits))

    def _listed(
        self, found: tuple[Destination, ...], traits: Traits
    ) -> Iterator[WayData]:
        for sink, unfit in self._sinks.items():
            mine = [each for each in found if each.sink == sink]
            for each in mine:
                yield _way(each, unfit(traits))
            if not mine:
                yield WayData(sink=sink)


def _way(found: Destination, unfit: str) -> WayData:
    rules = found.route.rules
    return WayData(
        sink=found.sink,
        route=found.route.name,
        rule=tuple(map(str, found.route.matchers)),
        group=found.group,
        after=rules.after.total_seconds(),
        group_wait=rules.group_wait.total_seconds(),
        group_interval=rules.group_interval.total_seconds(),
        repeat_interval=rules.repeat_interval.total_seconds(),
        unfit=unfit,
    )
