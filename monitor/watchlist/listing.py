"""All watches of all files at one moment, and the difference of two moments."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from monitor.core.discovery import Rule
from monitor.core.model import InstanceKey
from monitor.core.watch import Watch
from monitor.watchlist.reading import Fault, Parsed

MOST_REPEATS: Final = 1000
"""That are reported; an append-only list may repeat everything."""


class Listing(Struct, frozen=True, kw_only=True):
    """*watches*, *rules* in the order of files and lines; *repeats* are no faults."""

    watches: Mapping[InstanceKey, Watch] = {}
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()
    repeats: tuple[Fault, ...] = ()


class Difference(Struct, frozen=True, kw_only=True):
    """*changed*: the same instance with other labels or options.

    An entry that only moved to another line or file is not changed.
    """

    added: tuple[Watch, ...] = ()
    removed: tuple[InstanceKey, ...] = ()
    changed: tuple[Watch, ...] = ()


def gather(files: Iterable[Parsed], faults: Iterable[Fault] = ()) -> Listing:
    """Join *files*: of two entries, or rules, for the same thing the first wins."""
    watches: dict[InstanceKey, Watch] = {}
    rules: dict[str, Rule] = {}
    repeats: list[Fault] = []
    found = list(faults)
    for file in files:
        found += file.faults
        for watch in file.watches:
            first = watches.setdefault(watch.key, watch)
            if first is not watch and len(repeats) < MOST_REPEATS:
                reason = f"{watch.key} repeats {first.place}"
                repeats.append(Fault(watch.place, reason))
        for rule in file.rules:
            before = rules.setdefault(rule.selection, rule)
            if before is not rule and len(repeats) < MOST_REPEATS:
                reason = f"the rule {rule.selection} repeats {before.place}"
                repeats.append(Fault(rule.place, reason))
    return Listing(
        watches=watches,
        rules=tuple(rules.values()),
        faults=tuple(found),
        repeats=tuple(repeats),
    )


def difference(before: Listing, after: Listing) -> Difference:
    added, changed = [], []
    for key, watch in after.watches.items():
        known = before.watches.get(key)
        if known is None:
            added.append(watch)
        elif known.labels != watch.labels or known.options != watch.options:
            changed.append(watch)
    return Difference(
        added=tuple(added),
        removed=tuple(key for key in before.watches if key not in after.watches),
        changed=tuple(changed),
    )
