"""How many visits callbacks may ask for, since anybody may forge one. Pure.

One instance once a second, and all together as many as a bucket of tokens holds.
"""

from typing import Final

APART: Final = 1.0
"""Seconds between two visits of one instance."""

RATE: Final = 50.0
"""Visits a second. As many ends as 15,000 jobs of five minutes each have."""

BURST: Final = 500.0
"""Visits at once: many jobs that were started together end together."""


class Allowance:
    """*now* is in seconds, of any clock that only goes forward."""

    def __init__(self) -> None:
        self._left = BURST
        self._at = 0.0
        # The oldest first; only what was spent for, so that it stays small.
        self._spent: dict[int, float] = {}

    def allows(self, job_instance_id: int, now: float) -> bool:
        self._refill(now)
        return self._left >= 1 and job_instance_id not in self._spent

    def spend(self, job_instance_id: int, visits: int, now: float) -> None:
        """Pay for *visits*, also more of them than there are tokens."""
        self._refill(now)
        self._left -= visits
        self._spent.pop(job_instance_id, None)
        self._spent[job_instance_id] = now

    def _refill(self, now: float) -> None:
        self._left = min(BURST, self._left + (now - self._at) * RATE)
        self._at = now
        while self._spent:
            oldest = next(iter(self._spent))
            if now - self._spent[oldest] < APART:
                return
            del self._spent[oldest]
