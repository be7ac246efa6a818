"""All instances in the order of their creation, scope by scope.

What JOB calls the execution history. Knows dates and scopes, and no story.
"""

from bisect import bisect_left, insort

from monitor.simulator.instance import Instance
from monitor.simulator.question import Scope

Entry = tuple[int, int, Instance]


class History:
    """Entries are ordered by date in milliseconds, then by the id."""

    def __init__(self) -> None:
        self._scopes: dict[Scope, list[Entry]] = {}

    def add(self, instance: Instance, created_ms: int) -> None:
        entry = (created_ms, instance.job_instance_id, instance)
        insort(self._scopes.setdefault(_scope(instance), []), entry, key=_place)

    def remove(self, instance: Instance, created_ms: int) -> None:
        entries = self._scopes[_scope(instance)]
        where = bisect_left(entries, (created_ms, instance.job_instance_id), key=_place)
        del entries[where]

    def newest_first(self, scope: Scope, start_ms: int, end_ms: int) -> list[Instance]:
        """List what was created from *start_ms* to *end_ms*, both included."""
        entries = self._scopes.get(scope, [])
        low = bisect_left(entries, start_ms, key=_date)
        high = bisect_left(entries, end_ms + 1, key=_date)
        return [instance for _, _, instance in reversed(entries[low:high])]


def _scope(instance: Instance) -> Scope:
    return Scope(instance.kind, instance.biz)


def _place(entry: Entry) -> tuple[int, int]:
    return entry[:2]


def _date(entry: Entry) -> int:
    return entry[0]
