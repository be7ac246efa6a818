"""Whether a sink is tried at all: one that is down is asked by one message at a time.

One message that fails says something about that message; several of different
lines, with none taken between them, say something about the sink. Seconds are
since 1970.
"""

from typing import Final

from msgspec import Struct, structs

from monitor.core import backoff

OPENS_AT: Final = 5
"""Lines that failed since the last answer."""

CLOSE: Final = 0.001
"""Seconds: clocks that differ by less agree."""

_NOBODY: Final[frozenset[str]] = frozenset()


class Circuit(Struct, frozen=True):
    """Nothing is tried before *until*; while *open*, then one message alone.

    *probes* counts the rests there were since it opened.
    """

    failed: frozenset[str] = _NOBODY
    probes: int = 0
    until: float = 0.0

    @property
    def open(self) -> bool:
        return self.probes > 0

    def rest(self, now: float) -> float:
        """Tell the seconds for which nothing is tried."""
        left = self.until - now
        return left if left > CLOSE else 0.0


CLOSED: Final = Circuit()


def failed(
    circuit: Circuit, line: str, now: float, luck: float, *, floor: float = 0.0
) -> Circuit:
    """A message of *line* was not taken; the sink asked for *floor* seconds of peace."""
    asked = max(circuit.until, now + floor) if floor else circuit.until
    if circuit.open and circuit.rest(now):  # begun before it opened
        return structs.replace(circuit, until=asked)
    lines = circuit.failed if circuit.open else circuit.failed | {line}
    if len(lines) < OPENS_AT:
        return Circuit(lines, 0, asked)
    probes = circuit.probes + 1
    wait = backoff.full_jitter(probes, luck)
    return Circuit(lines, probes, max(asked, now + wait))
