"""How long to wait after a failure, in seconds.

*luck* in [0, 1) is handed in. Jitter only shortens, except on the ladder, which
promises its rungs ± 20 %.
"""

from typing import Final

LADDER: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0)
"""Waits between tries of one delivery; the last rung repeats."""

GIVE_UP_AFTER: Final = 3 * 86400.0
"""A delivery that failed for this long is a dead letter."""


def full_jitter(
    failures: int, luck: float, *, base: float = 1.0, ceiling: float = 60.0
) -> float:
    """Wait somewhere between a tenth of and the whole doubled delay.

    The tenth keeps a lucky prober from hammering; *failures* counts from 1.
    """
    doubled = ceiling if failures > 64 else min(ceiling, base * 2.0 ** (failures - 1))
    return doubled * max(0.1, 1.0 - luck)


def doubling(failures: int, *, base: float = 1.0, ceiling: float = 60.0) -> float:
    """Wait exactly: 1, 2, 4 … seconds up to *ceiling*."""
    return full_jitter(failures, 0.0, base=base, ceiling=ceiling)


def ladder(tries: int, luck: float) -> float:
    """Wait after the *tries*-th failed delivery (from 1)."""
    rung = LADDER[min(tries, len(LADDER)) - 1]
    return rung * (0.8 + 0.4 * luck)
