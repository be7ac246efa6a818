"""What ``wait`` says on stderr while it looks.

Trouble and every ending but a clean success get a line; with *verbose* each
transition does. A gauge, if there is one, is kept up to date.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from monitor import durations
from monitor.cli.waiting import sentence
from monitor.core.ending import Ending, Finding
from monitor.core.transitions import Transition
from monitor.sinks.printable import printable

Say = Callable[[str], None]


class Gauge(Protocol):
    def show(self, finding: Finding) -> None: ...


class Talk:
    """Satisfies ``vigil.Hearer``; *say* takes a line."""

    def __init__(
        self, say: Say, *, locale: str, verbose: bool, gauge: Gauge | None = None
    ) -> None:
        self._say = say
        self._locale = locale
        self._verbose = verbose
        self._gauge = gauge

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None:
        self._show(finding)
        if self._verbose:
            for transition in moved:
                self._say(f"{finding.key}: {sentence.moved(transition, self._locale)}")

    def ended(self, finding: Finding) -> None:
        self._show(finding)
        caution = sentence.caution(finding)
        if caution:
            self._say(f"{finding.key}: {caution}")
        elif self._verbose or finding.ending is not Ending.SUCCEEDED:
            self._say(f"{finding.key}: {sentence.standing(finding, self._locale)}")

    def doubted(self, who: str, reason: str) -> None:
        self._say(f"{who}: {printable(reason)}; trying again")

    def restored(self, who: str) -> None:
        self._say(f"{who}: answers again")

    def lost(self, source: str, reason: str, instances: int) -> None:
        count = f"{instances} {'instance' if instances == 1 else 'instances'}"
        self._say(f"{source}: gave up on {count}: {printable(reason)}")

    def concluded(
        self, findings: Sequence[Finding], cut_short: str | timedelta | None
    ) -> None:
        """Count the endings, unless a single instance has said it all."""
        if cut_short is None and len(findings) == 1:
            return
        counts = Counter(finding.ending for finding in findings)
        said = ", ".join(f"{counts[how]} {how}" for how in Ending if counts[how])
        if isinstance(cut_short, timedelta):
            cut_short = f"timed out after {durations.text(cut_short)}"
        self._say(f"{cut_short}: {said}" if cut_short else said)

    def _show(self, finding: Finding) -> None:
        if self._gauge is not None:
            self._gauge.show(finding)
