"""Inhibition: while one alert holds, others that it explains are not told.

As Alertmanager's rules: a source and a target, each by matchers, and traits in
which both must be equal. An alert that is both never inhibits itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from monitor.core import matchers
from monitor.core.matchers import Matcher

Traits = Mapping[str, str]
Values = tuple[str, ...]


class Rule(Struct, frozen=True, kw_only=True):
    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ()

    def keeps_quiet(self, traits: Traits) -> bool:
        """Tell whether an alert with *traits* is one that others may explain."""
        return matchers.all_match(self.target, traits) and not _is_source(self, traits)


class Inhibitions:
    """Which alerts inhibit at the moment, counted by rule and equal traits."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._holding: list[Counter[Values]] = [Counter() for _ in rules]
        self._given: dict[str, list[tuple[int, Values]]] = {}

    def hold(self, key: str, alerts: Iterable[Traits]) -> bool:
        """Take in all that holds for *key* now; tell whether that may change others."""
        given = [
            (number, _values(rule, traits))
            for traits in alerts
            for number, rule in enumerate(self._rules)
            if _is_source(rule, traits)
        ]
        before = self._given.pop(key, [])
        if given:
            self._given[key] = given
        if given == before:
            return False
        for number, values in before:
            self._holding[number][values] -= 1
            if not self._holding[number][values]:
                del self._holding[number][values]
        for number, values in given:
            self._holding[number][values] += 1
        return True

    def inhibiting(self, traits: Traits) -> Rule | None:
        """Find a rule by which an alert with *traits* is not to be told now."""
        for rule, holding in zip(self._rules, self._holding, strict=True):
            if holding[_values(rule, traits)] > 0 and rule.keeps_quiet(traits):
                return rule
        return None


def _is_source(rule: Rule, traits: Traits) -> bool:
    return matchers.all_match(rule.source, traits)


def _values(rule: Rule, traits: Traits) -> Values:
    return tuple(traits.get(trait, "") for trait in rule.equal)
