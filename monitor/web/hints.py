"""What callbacks ask for: that an instance is moved to the front of the queue.

They are unsigned, tried twice at most, and sent for some ends only: a hint to look
now, while the truth is what the visit sees. Who forges one costs a poll, and polls
are rationed. Knows no HTTP.
Source: bk-job CallbackListener.java, JobCallbackDTO.java, read 2026-11.
"""

from collections import Counter
from collections.abc import Callable, Iterable

from monitor import metering
from monitor.metering import Sample
from monitor.web.allowance import Allowance
from monitor.web.early import Early

Hint = Callable[[int], int]
"""Moves the instances with this job_instance_id, of whatever source and scope, to
the front of the queue; says how many are watched."""


class Callbacks:
    """What has come and what became of it; a ``Meter``."""

    def __init__(self, hint: Hint) -> None:
        self._hint = hint
        self._allowance = Allowance()
        self._early = Early()
        self._counts = Counter[str]()

    def take(self, job_instance_id: int, now: float) -> None:
        if not self._allowance.allows(job_instance_id, now):
            self.count("held_back")
        elif self._moved(job_instance_id, now):
            self.count("moved")
        else:
            self._early.remember(job_instance_id, now)
            self.count("unknown")

    def watches_added(self, now: float) -> None:
        """Visit at once those of the added that have called back already."""
        for job_instance_id in self._early.waiting(now):
            if self._moved(job_instance_id, now):
                self._early.forget(job_instance_id)

    def count(self, result: str) -> None:
        self._counts[result] += 1

    def samples(self) -> Iterable[Sample]:
        return metering.callbacks(self._counts)

    def _moved(self, job_instance_id: int, now: float) -> bool:
        moved = self._hint(job_instance_id)
        if moved:
            self._allowance.spend(job_instance_id, moved, now)
        return moved > 0
