"""Which alerts are told together, and which explain others, as it is at the moment.

Kept in memory of whoever has alerts; asks nothing, tells nobody.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import timedelta
from itertools import chain

from monitor import metering
from monitor.core import routing, wording
from monitor.core.alerts import Alert
from monitor.core.inhibition import Inhibitions
from monitor.core.member import Member
from monitor.core.routing import Destination, Route
from monitor.core.telling import Obstacle, WhyNot
from monitor.core.wording import Frame
from monitor.metering import Sample


class Grouping:
    """Satisfies ``metering.Meter``: it knows of every alert that holds.

    *owns* tells which of them are counted here; without it, all.
    """

    def __init__(
        self,
        root: Route,
        inhibitions: Inhibitions,
        frame: Callable[[str], Frame],
        owns: Callable[[str], bool] | None = None,
    ) -> None:
        self._owns = owns
        self.root = root
        self._inhibitions = inhibitions
        self._frame = frame
        self._groups: dict[str, frozenset[str]] = {}
        self._members: dict[str, set[str]] = {}
        self._elsewhere: dict[str, set[str]] = {}
        self._labels: dict[str, Mapping[str, str]] = {}
        self._held: dict[str, list[tuple[str, str]]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def samples(self) -> Iterator[Sample]:
        yield from metering.held(self._counts if self._owns is None else self._ours())

    def _ours(self) -> Counter[tuple[str, str]]:
        """Count what holds for those that are owned here: others count theirs."""
        owns = self._owns or bool
        held = (each for key, each in self._held.items() if owns(key))
        return Counter(chain.from_iterable(held))

    def _count(self, member: Member) -> None:
        self._counts.subtract(self._held.pop(member.key, ()))
        if member.alerts:
            held = [(str(a.name), str(a.severity)) for a in member.alerts.values()]
            self._held[member.key] = held
            self._counts.update(held)

    def place(self, member: Member) -> tuple[dict[str, timedelta], bool]:
        """Take in what holds for *member*.

        Gives the groups to look at, each with its ``group_wait``, and whether others
        may be inhibited no longer, or from now on.
        """
        self._count(member)
        every = [self.traits(member, alert) for alert in member.alerts.values()]
        waits: dict[str, timedelta] = {}
        for traits in every:
            for group, wait in self._homes(member.key, traits):
                waits[group] = min(wait, waits.get(group, wait))
        before = self._groups.pop(member.key, frozenset())
        self._labels.pop(member.key, None)
        if waits:
            self._groups[member.key] = frozenset(waits)
            self._labels[member.key] = self._frame(member.key).labels
        for group in before - waits.keys():
            self._leave(group, member.key)
        for group in filter(routing.is_several, waits):
            self._members.setdefault(group, set()).add(member.key)
        left = before - waits.keys() or (() if waits else {member.key})
        left = {*left, *self._elsewhere.pop(member.key, ())}
        looks = {**dict.fromkeys(left, timedelta(0)), **waits}
        return looks, self._inhibitions.hold(member.key, every)

    def _homes(
        self, key: str, traits: Mapping[str, str]
    ) -> Iterator[tuple[str, timedelta]]:
        found = self.destinations(key, traits)
        for destination in found:
            yield destination.group, destination.route.rules.group_wait
        if not found:  # told to nobody: that is a decision too
            yield key, timedelta(0)

    def told(self, group: str, keys: Collection[str]) -> None:
        """Remember of whom somebody was told in *group*.

        Those who belong elsewhere by now, since a label or a route is another, are
        seen through to their end where they were told.
        """
        for key in keys:
            if group not in self._groups.get(key, ()):
                self._elsewhere.setdefault(key, set()).add(group)

    def _leave(self, group: str, key: str) -> None:
        members = self._members.get(group)
        if members is not None:
            members.discard(key)
            if not members:
                del self._members[group]

    def placed(self) -> list[str]:
        return list(self._labels)

    def relabelled(self, key: str) -> bool:
        """Tell whether *key* has other labels than when it was placed."""
        known = self._labels.get(key)
        return known is not None and known != self._frame(key).labels

    def groups(self) -> set[str]:
        """List the groups in which something holds."""
        return {group for groups in self._groups.values() for group in groups}

    def groups_of(self, key: str) -> frozenset[str]:
        return self._groups.get(key, frozenset())

    def members(self, group: str) -> set[str]:
        return self._members.get(group, set()) if routing.is_several(group) else {group}

    def traits(self, member: Member, alert: Alert) -> dict[str, str]:
        known = member.snapshot
        return wording.alert_traits(
            self._frame(member.key),
            alert,
            known.name if known else "",
            known.plan_id if known else None,
        )

    def destinations(
        self, key: str, traits: Mapping[str, str]
    ) -> tuple[Destination, ...]:
        about_instance = self._frame(key).instance is not None
        return routing.destinations(self.root, key, traits, instance=about_instance)

    def inhibited(self, traits: Mapping[str, str]) -> Obstacle | None:
        rule = self._inhibitions.inhibiting(traits)
        return Obstacle(WhyNot.INHIBITED, f"by {rule.name}") if rule else None
