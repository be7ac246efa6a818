"""How much to ask about an instance: whether its job moved, or how its hosts stand.

A look without hosts is small whatever the size of the job, and tells when a look
with hosts will bring something new: at a change of the job or of a step. Early
failures inside a running step need looks with hosts now and then.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from monitor.core import codes
from monitor.core.codes import Meaning
from monitor.core.model import Snapshot, Step

MANY: Final = 2000
"""Hosts of a step (some 400 KB of answer) from which counts by status are asked for."""

NAMED: Final = 500
"""Hosts of each status that come with the counts."""


class Depth(StrEnum):
    LIGHT = "light"
    GROUPS = "groups"
    HOSTS = "hosts"


class Outline(Struct, frozen=True):
    """What of a snapshot tells that hosts may have moved.

    *steps* are id, status and execute_count; *running*: a step is under way;
    *vast*: and it has many hosts.
    """

    status: int
    steps: tuple[tuple[int, int, int], ...]
    running: bool = False
    vast: bool = False

    def moved(self, seen: Snapshot) -> bool:
        return self.status != seen.status or self.steps != _steps(seen)


def outline(snapshot: Snapshot) -> Outline:
    """Outline what is known; hosts must have been merged in."""
    under_way = [step for step in snapshot.steps if runs(step)]
    return Outline(
        snapshot.status,
        _steps(snapshot),
        running=bool(under_way),
        vast=any(len(step.hosts) > MANY for step in under_way),
    )


def runs(step: Step) -> bool:
    return codes.run(step.status).meaning is Meaning.RUNNING


def over(known: Outline) -> bool:
    return codes.run(known.status).finished


def between_steps(known: Outline) -> bool:
    """Tell whether the job runs and none of its steps does."""
    runs = codes.run(known.status).meaning is Meaning.RUNNING
    return runs and not known.running


def _steps(snapshot: Snapshot) -> tuple[tuple[int, int, int], ...]:
    return tuple(
        (step.step_instance_id, step.status, step.execute_count)
        for step in snapshot.steps
    )


def depth(
    known: Outline | None, *, since_hosts: float, early: float, confirmed: bool
) -> Depth:
    """Choose how much to ask where the API lets us choose.

    *since_hosts* are the seconds since hosts were last asked for; every *early*
    seconds they are asked for while a step runs (0: never). The end is *confirmed*
    once hosts were asked for after the answer that first told it.
    """
    if known is None:
        return Depth.HOSTS
    if over(known):
        return Depth.LIGHT if confirmed else Depth.HOSTS
    if known.running and early and since_hosts >= early:
        return Depth.GROUPS if known.vast else Depth.HOSTS
    return Depth.LIGHT
