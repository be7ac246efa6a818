"""The part of a source's budget that is ours, as all daemons that ask it agree."""

from typing import Final, Never

import anyio

from monitor.core import budget
from monitor.core.cluster import View
from monitor.holdings import Holdings
from monitor.pace import Pace

AGAIN: Final = 1.0
"""Seconds until it is looked again whether the database can be reached."""


class Sharing:
    """*view* is who else there is at the beginning."""

    def __init__(self, source: str, pace: Pace, holdings: Holdings, view: View) -> None:
        self._source = source
        self._pace = pace
        self._holdings = holdings
        self._others = bool(view.others())
        self._share = budget.joining(budget.stakes(view, source), view.me)
        pace.take_part(self._share.taken)

    @property
    def claim(self) -> float:
        """What the others are to leave us, from 0 to 1."""
        return self._share.claim

    def met(self, view: View) -> None:
        stakes = budget.stakes(view, self._source)
        self._others = bool(view.others())
        if view.me in stakes:
            self._share = budget.share(stakes, view.me)
            self._pace.take_part(self._share.taken)

    async def run(self) -> Never:
        """Ask for nothing while the others may believe that this daemon is gone."""
        while True:
            await anyio.sleep_until(self._holdings.deadline)
            if self._others and not self._holdings.sure():
                self._pace.take_part(0.0)
            await anyio.sleep(AGAIN)
