"""Findings and transitions in a few words, printable whatever JOB says."""

from typing import Final

from monitor.core import codes, ending
from monitor.core.ending import Ending, Finding
from monitor.core.model import Snapshot
from monitor.core.transitions import Transition
from monitor.sinks.printable import printable

_UNSEEN: Final = {
    Ending.GONE: "JOB knows no such instance",
    Ending.REFUSED: "JOB does not let us look",
    Ending.LOST: "JOB cannot be seen",
    Ending.RUNNING: "not seen yet",
}


def standing(finding: Finding, locale: str) -> str:
    """Say how an instance stands, and why no more is known of it."""
    seen = finding.snapshot
    if seen is None:
        return _unseen(finding)
    said = _seen(seen, locale)
    if finding.ending in (Ending.RUNNING, ending.of(seen)):
        return said
    return f"{_unseen(finding)}; last seen {said}"


def _seen(seen: Snapshot, locale: str) -> str:
    failed, total = len(ending.failed_hosts(seen)), len(ending.hosts(seen))
    said = [codes.run(seen.status).name(locale)]
    if total:
        said.append(f"{failed} of {total} hosts failed")
    unfinished = len(ending.unfinished_hosts(seen)) if seen.finished else 0
    if unfinished:
        said.append(f"{unfinished} never finished")
    return ", ".join(said)


def _unseen(finding: Finding) -> str:
    reason = f": {printable(finding.reason)}" if finding.reason else ""
    return f"{_UNSEEN[finding.ending]}{reason}"


def caution(finding: Finding) -> str:
    """Say what a success hides; empty if nothing."""
    seen = finding.snapshot
    if seen is None or finding.ending is not Ending.SUCCEEDED:
        return ""
    failed = len(ending.failed_hosts(seen))
    if not failed:
        return ""
    return f"warning: succeeded although {failed} of {len(ending.hosts(seen))} hosts failed"


def moved(transition: Transition, locale: str) -> str:
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
    names = [
        codes.run(status).name(locale)
        for status in (transition.before, transition.after)
        if status is not None
    ]
    return " → ".join(names)
