"""What each sink asked for, and from when on: so that what was left out is known.

A configuration may change between an event and the question about it. Stored, so it
may only gain fields, each with a default.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from monitor.core import matchers
from monitor.core.message import Kind


class Subscription(Struct, frozen=True, kw_only=True):
    """In force for what stands behind *position* in the log.

    *send* empty: there is no such sink from then on.
    """

    sink: str
    send: tuple[Kind, ...]
    match: tuple[str, ...] = ()
    position: int = 0
    since: datetime | None = None

    def asks_as(self, other: "Subscription") -> bool:
        return (self.send, self.match) == (other.send, other.match)


def in_force(history: Sequence[Subscription], position: int) -> Subscription | None:
    """Give what held for the event at *position*; *history* is the oldest first.

    None where the sink came later. A later entry with an earlier position wins: a
    sink that comes back reads on from where it was.
    """
    held = [
        subscription for subscription in history if subscription.position < position
    ]
    return held[-1] if held else None


def at(history: Sequence[Subscription], moment: datetime) -> Subscription | None:
    """Give what held at *moment*; None where the sink came later."""
    held = [each for each in history if each.since is None or each.since <= moment]
    return held[-1] if held else None


def unfit(subscription: Subscription, traits: Mapping[str, str]) -> str:
    """Name the matcher that leaves out what has *traits*; empty where all fit."""
    return matchers.unfit(map(matchers.parse, subscription.match), traits)
