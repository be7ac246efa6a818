"""All watches of all files at one moment, and the difference of two moments."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from monitor.core.model import InstanceKey
from monitor.core.watch import Watch
from monitor.watchlist.reading import Fault, Parsed

MOST_REPEATS: Final = 1000
"""That are reported; an append-only list may repeat everything."""


class Listing(Struct, frozen=True, kw_only=True):
    """*watches* in the order of files and lines; *repeats* are no faults."""

    watches: Mapping[InstanceKey, Watch] = {}
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
    """Join *files*: of two entries with one key the first wins."""
    watches: dict[InstanceKey, Watch] = {}
    repeats: list[Fault] = []
    found = list(faults)
    for file in files:
        found += file.faults
        for watch in file.watches:
            first = watches.setdefault(watch.key, watch)
            if first is not watch and len(repeats) < MOST_REPEATS:
                reason = f"{watch.key} repeats {first.place}"
                repeats.append(Fault(watch.place, reason))
    return Listing(watches=watches, faults=tuple(found), repeats=tuple(repeats))


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
