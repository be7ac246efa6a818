"""Evidence of a run that never was, as tests of the judgement need it."""

from collections.abc import Sequence

from monitor.simulator.world import World
from tests.e2e.receiver import Receiver
from tests.torture.evidence import Evidence, Struck
from tests.torture.members import Life
from tests.torture.sampling import Sampler
from tests.torture.schedule import Plan

END = 1000.0


def owner(pid: int) -> str:
    return f"here/{pid}/x"


def evidence(
    sampler: Sampler,
    *,
    lives: Sequence[Life] = (),
    struck: Sequence[Struck] = (),
    world: World | None = None,
    receiver: Receiver | None = None,
) -> Evidence:
    """Begin at second 0 of both clocks; end at *END*."""
    world = world or World(clock=lambda: 0.0)
    made = Evidence(Plan(max_interval=1.0), world, receiver or Receiver(), began=0.0)
    made.sampler, made.ended = sampler, END
    made.lives, made.struck = [*lives], [*struck]
    return made
