"""What keeps a case from being told yet, by the rules of those who would be told.

Silences, inhibition and routes are found by those who know them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

from monitor.core import telling
from monitor.core.alerts import Alert, Name
from monitor.core.member import Member
from monitor.core.telling import Obstacle, Rules, WhyNot

_SETTLES: Final = frozenset({Name.HOSTS_FAILED, Name.JOB_FAILED, Name.HOSTS_UNFINISHED})
"""What a retry may mend."""


class Flapping(Struct, frozen=True):
    """So many *changes* between well and not well within *window* are too many."""

    changes: int = 6
    window: timedelta = timedelta(hours=1)


def found(alert: Alert, member: Member, now: datetime, rules: Rules) -> Obstacle | None:
    """Give the first obstacle there is."""
    return next(_obstacles(alert, member, now, rules), None)


def _obstacles(
    alert: Alert, member: Member, now: datetime, rules: Rules
) -> Iterator[Obstacle]:
    if alert.name in rules.never or alert.stage in rules.never:
        what = f"{alert.name}, {alert.stage}," if alert.stage else alert.name
        yield Obstacle(WhyNot.UNROUTED, f"{what} is told to nobody")
    if alert.name is Name.HOSTS_FAILED:
        yield from _too_few(alert, rules)
    if rules.settle_for and alert.name in _SETTLES:
        yield from _unsettled(alert, member, now, rules.settle_for)
    yield from _too_new(alert, now, rules)


def _too_few(alert: Alert, rules: Rules) -> Iterator[Obstacle]:
    share = 100 * alert.failed / max(1, alert.total)
    if alert.failed < rules.at_least or share < rules.percent:
        yield Obstacle(
            WhyNot.BELOW_THRESHOLD,
            f"{alert.failed} of {alert.total} hosts failed; "
            f"worth telling from {rules.at_least} hosts and {rules.percent:g} %",
        )


def _unsettled(
    alert: Alert, member: Member, now: datetime, settle_for: timedelta
) -> Iterator[Obstacle]:
    if member.runs_again:
        yield Obstacle(WhyNot.SETTLING, "it ended and runs again")
        return
    ended = max(alert.since, member.finished_at or alert.since)
    if telling.waits(ended, now, settle_for):
        yield Obstacle(WhyNot.SETTLING, "somebody may retry it", ended + settle_for)


def _too_new(alert: Alert, now: datetime, rules: Rules) -> Iterator[Obstacle]:
    least = rules.holding.get(alert.name, timedelta(0))
    for wait, why in (
        (least, "it must hold for longer"),
        (rules.after, "it is not escalated yet"),
    ):
        if telling.waits(alert.since, now, wait):
            yield Obstacle(WhyNot.PENDING, why, alert.since + wait)


def calm_at(flips: Sequence[datetime], rule: Flapping) -> datetime | None:
    """Say when somebody who comes and goes will have been calm; None: is calm."""
    if len(flips) < rule.changes:
        return None
    return flips[-rule.changes] + rule.window
