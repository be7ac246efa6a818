"""What a look costs: one number for each source, set from its budget.

With the price *theta*, a watch of weight w and hazard h is looked at √(w·h) / theta
times a second, which spends a budget where it shortens delays most. Pure
arithmetic; whoever reprices every few seconds brings the watches.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

# What is left of the budget for looks that nobody planned: first visits, retries.
SPENT: Final = 0.97
_EWMA: Final = 0.3
_LATE: Final = 2.0
_RISE: Final = 1.01
_MOST_STRAIN: Final = 2.0
_ROUNDS: Final = 30
_CLOSE: Final = 0.005


class Group(Struct, frozen=True, gc=False):
    """Watches that are alike: *pull* is the √(w·h) of each.

    None is looked at more often than every *floor* or less often than every *cap*
    seconds, both finite.
    """

    count: float
    pull: float
    floor: float
    cap: float

    def rate(self, theta: float) -> float:
        """How many looks a second the group takes."""
        return self.count / min(self.cap, max(self.floor, theta / self.pull))


class Price(Struct, frozen=True):
    """*strain* is what lateness has put on the *calm* price; see ``stretch``."""

    calm: float = 0.0
    strain: float = 1.0
    stretch: float = 1.0

    @property
    def theta(self) -> float:
        return self.calm * self.strain


def balancing(groups: Sequence[Group], rate: float) -> float:
    """Give the price at which *groups* take 97 % of *rate* looks a second.

    Where floors keep them below that, or caps above it, the price at which the last
    of them has come to its floor, or to its cap. 0 where there is nobody.
    """
    if not groups:
        return 0.0
    budget = SPENT * rate
    low = min(group.pull * group.floor for group in groups)
    high = max(group.pull * group.cap for group in groups)
    theta = sum(group.count * group.pull for group in groups) / budget
    # Newton's steps on a line with a few kinks, kept between what is known to be
    # too cheap and too dear.
    for _ in range(_ROUNDS):
        theta = min(high, max(low, theta))
        spent, bent = _spent(groups, theta)
        if abs(spent - budget) <= _CLOSE * budget or high <= low * (1 + _CLOSE):
            break
        if spent > budget:
            low = theta
        else:
            high = theta
        free = budget - (spent - bent)
        theta = bent * theta / free if free > 0 and bent > 0 else high
        if not low < theta < high:
            theta = (low * high) ** 0.5 if low > 0 else high / 2
    return theta


def stretch(groups: Iterable[Group], rate: float) -> float:
    """Say how many times its cap a wait may be, 1 wherever the budget allows.

    Where caps alone would take more than *rate* nobody can hold them, and all would be
    looked at in turn however little is expected. Then caps give way, the more the less
    the budget suffices, until a third of it goes to them and the rest to what is
    likely to end.
    """
    least = sum(group.count / group.cap for group in groups)
    return max(1.0, 3 * least / (SPENT * rate) - 2)


def after(
    price: Price, balanced: float, lag: float, *, stretched: float = 1.0
) -> Price:
    """Move towards the *balanced* price; dearer while looks are *lag* seconds late.

    The strain stays until looks have been on time for as long: a correction of the
    price itself would be averaged away before it could help.
    """
    calm = balanced
    if price.calm > 0:
        calm = (1 - _EWMA) * price.calm + _EWMA * balanced
    late = lag > _LATE
    strain = price.strain * _RISE if late else price.strain / _RISE
    return Price(calm, min(_MOST_STRAIN, max(1.0, strain)), stretched)


def value(hazard: float, weight: float, unseen: float) -> float:
    """Say what a look is worth after *unseen* seconds, to choose by when all are late.

    The greedy form of the same law: worth its price when the wait is theta / √(w·h).
    """
    return weight * hazard * unseen * unseen / 2


def _spent(groups: Sequence[Group], theta: float) -> tuple[float, float]:
    """Sum the looks a second of all, and of those at neither floor nor cap."""
    spent = bent = 0.0
    for group in groups:
        rate = group.rate(theta)
        spent += rate
        if group.floor < theta / group.pull < group.cap:
            bent += rate
    return spent, bent
