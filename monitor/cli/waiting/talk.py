"""What ``wait`` says: findings and transitions in a few words, on stderr.

Trouble and every ending but a clean success get a line; with *verbose* each
transition does. Whatever JOB says comes out printable.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from monitor.core import codes, ending
from monitor.core.ending import Counts, Ending, Finding
from monitor.core.model import Snapshot
from monitor.core.transitions import Transition
from monitor.sinks.printable import printable

_UNSEEN: Final = {
    Ending.GONE: "JOB knows no such instance",
    Ending.REFUSED: "JOB does not let us look",
    Ending.LOST: "JOB cannot be seen",
    Ending.RUNNING: "not seen yet",
}


class Talk:
    """Satisfies ``vigil.Hearer``; *say* takes a line, *show* a finding that is new."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        locale: str,
        verbose: bool,
        show: Callable[[Finding], None] = lambda _: None,
    ) -> None:
        self._say = say
        self._show = show
        self._locale = locale
        self._verbose = verbose

    def moved(self, finding: Finding, moved: Sequence[Transition]) -> None:
        self._show(finding)
        if self._verbose:
            for transition in moved:
                self._say(f"{finding.key}: {_moved(transition, self._locale)}")

    def ended(self, finding: Finding) -> None:
        self._show(finding)
        caution = _caution(finding)
        if caution:
            self._say(f"{finding.key}: {caution}")
        elif self._verbose or finding.ending is not Ending.SUCCEEDED:
            self._say(f"{finding.key}: {standing(finding, self._locale)}")

    def doubted(self, who: str, reason: str) -> None:
        self._say(f"{who}: {printable(reason)}; trying again")

    def restored(self, who: str) -> None:
        self._say(f"{who}: answers again")

    def lost(self, source: str, reason: str, instances: int) -> None:
        self._say(f"{source}: gave up on {_many(instances)}: {printable(reason)}")

    def handed_over(self, instances: int, reason: str) -> None:
        about = f" about {_many(instances)}" if instances > 1 else ""
        self._say(f"{printable(reason)}; asking JOB itself{about}")

    def concluded(self, findings: Sequence[Finding], cut_short: str) -> None:
        """Count the endings, unless a single instance has said it all."""
        counts = Counter(finding.ending for finding in findings)
        said = ", ".join(f"{counts[how]} {how}" for how in Ending if counts[how])
        if cut_short:
            self._say(f"{cut_short}: {said}")
        elif len(findings) > 1:
            self._say(said)


def _many(instances: int) -> str:
    return f"{instances} {'instance' if instances == 1 else 'instances'}"


def standing(finding: Finding, locale: str) -> str:
    """Say how an instance stands, and why no more is known of it."""
    seen = finding.snapshot
    said = "" if seen is None else _seen(seen, finding.counts, locale)
    if seen is not None and finding.ending in (Ending.RUNNING, ending.of(seen)):
        return said
    reason = f": {printable(finding.reason)}" if finding.reason else ""
    last = f"; last seen {said}" if said else ""
    return f"{_UNSEEN[finding.ending]}{reason}{last}"


def _seen(seen: Snapshot, counts: Counts, locale: str) -> str:
    failed, total = len(ending.failed_hosts(seen)), counts.hosts
    said = [codes.run(seen.status).name(locale)]
    if total:
        said.append(f"{failed} of {total} hosts failed")
    unfinished = counts.unfinished if seen.finished else 0
    if unfinished:
        said.append(f"{unfinished} never finished")
    return ", ".join(said)


def _caution(finding: Finding) -> str:
    """Say what a success hides; empty if nothing."""
    seen = finding.snapshot
    if seen is None or finding.ending is not Ending.SUCCEEDED:
        return ""
    failed, total = len(ending.failed_hosts(seen)), finding.counts.hosts
    if not failed:
        return ""
    return f"warning: succeeded although {failed} of {total} hosts failed"


def _moved(transition: Transition, locale: str) -> str:
    """Say what changed: ``waiting → running``, ``step push: 3 hosts failed``."""
    what = ""
    if transition.attempt is not None:
        name = printable(transition.attempt.name, 64) or "(unnamed)"
        attempt = transition.attempt.execute_count
        what = f"step {name}" + (f", attempt {attempt + 1}: " if attempt else ": ")
    return what + _change(transition, locale)


def _change(transition: Transition, locale: str) -> str:
    if transition.hosts:
        verb = transition.kind.rpartition(".")[2]
        count = len(transition.hosts)
        return f"{count} {'host' if count == 1 else 'hosts'} {verb}"
    both = (transition.before, transition.after)
    return " → ".join(codes.run(one).name(locale) for one in both if one is not None)
