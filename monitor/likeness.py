"""Says in the log in what nodes differ for long, and when they agree again."""

from typing import Final

import anyio
import structlog

from monitor.core.cluster import View
from monitor.core.differences import differences

LASTING: Final = 300.0
"""Seconds for which nodes may differ: one after the other is given what is new."""

log = structlog.get_logger()


class Likeness:
    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def met(self, view: View) -> None:
        """Hear who there is by now."""
        now = anyio.current_time()
        found = {each.what: each for each in differences(view)}
        self._since = {what: self._since.get(what, now) for what in found}
        lasting = {what for what, at in self._since.items() if now - at >= LASTING}
        if new := sorted(lasting - self._told):
            log.warning(
                "nodes.differ",
                differences=[str(found[what]) for what in new],
                remedy="give all nodes the same configuration and version",
            )
        if over := sorted(self._told - lasting):
            log.info("nodes.agree", about=over)
        self._told = lasting
