"""How several daemons divide what one source bears: by need, and never more than all.

Who wants more says so first, and takes it once the others have left it: whatever
the order in which they hear of one another, their shares sum up to one at most.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from monitor.core.cluster import View

EVENLY: Final = 0.2
"""What is divided evenly, so that who needs little can still look, search and probe."""

_EXACT: Final = 1e-9


class Stake(Struct, frozen=True):
    """One daemon: what it *claims* of the source, and its *need*; None: not known yet.

    Who is *leaving* gets no share any more, and still has what it claimed.
    """

    claim: float = 0.0
    need: float | None = None
    leaving: bool = False


class Share(Struct, frozen=True):
    """What a daemon may take now, and what it says that it wants: never less."""

    taken: float
    claim: float


WHOLE: Final = Share(1.0, 1.0)


def fair(needs: Mapping[str, float | None]) -> dict[str, float]:
    """Divide the whole by *needs*; evenly while one of them is not known."""
    known = [need for need in needs.values() if need is not None]
    total, parts = sum(known), max(1, len(needs))
    if len(known) < len(needs) or total <= 0:
        return dict.fromkeys(needs, 1 / parts)
    return {
        name: EVENLY / parts + (1 - EVENLY) * ((need or 0.0) / total)
        for name, need in needs.items()
    }


def joining(stakes: Mapping[str, Stake], me: str) -> Share:
    """Begin: with everything where nobody else is, with nothing among others."""
    if not stakes.keys() - {me}:
        return WHOLE
    return Share(0.0, _fair_for(me, stakes))


def share(stakes: Mapping[str, Stake], me: str) -> Share:
    """Say what *me* may take, by what all of *stakes* have claimed; mine among them."""
    others = (stake.claim for name, stake in stakes.items() if name != me)
    left, wanted = max(0.0, 1 - sum(others)), _fair_for(me, stakes)
    return Share(min(wanted, stakes[me].claim, left), wanted)


def at_once(most: int, taken: float) -> int:
    """Say how many requests may be under way: at least one."""
    return max(1, int(most * taken + _EXACT))


def stakes(view: View, source: str) -> dict[str, Stake]:
    """List who takes part in asking *source*, of all that live."""
    return {
        node.name: Stake(said.share, said.need, node.draining)
        for node in view.nodes
        if node.living and (said := node.about(source)) is not None
    }


def _fair_for(me: str, stakes: Mapping[str, Stake]) -> float:
    staying = {n: s.need for n, s in stakes.items() if n == me or not s.leaving}
    return fair({me: None, **staying})[me]
