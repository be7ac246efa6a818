"""What was found, for people at a terminal: a paragraph for each instance.

Text from JOB is never read as markup. A cluster of hosts is cut after the first
fifty; pipes and ``-o`` give all of them.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TextIO

from rich.console import Console
from rich.text import Text

from monitor.cli.waiting import sentence
from monitor.cli.waiting.report import Framing
from monitor.core import codes, events
from monitor.core.ending import Ending, Finding
from monitor.core.events import Frame
from monitor.core.model import Step
from monitor.sinks.printable import printable

MOST_HOSTS: Final = 50

_STYLES: Final = {
    Ending.SUCCEEDED: "green",
    Ending.FAILED: "bold red",
    Ending.RUNNING: "yellow",
}


def show(findings: Iterable[Finding], framing: Framing, stream: TextIO) -> None:
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    for finding in findings:
        for line in _lines(finding, framing(finding.key)):
            console.print(line, soft_wrap=True)


def _lines(finding: Finding, frame: Frame) -> Iterator[Text]:
    seen = finding.snapshot
    head = Text(frame.key, style="bold")
    if seen is not None and seen.name:
        head.append(f"  {printable(seen.name)}", style="not bold")
    yield head
    yield Text(
        f"  {sentence.standing(finding, frame.locale)}",
        _STYLES.get(finding.ending, "red"),
    )
    if seen is not None:
        for step in seen.steps:
            yield from _step(step, frame.locale)
    link = events.link(frame, seen, None)
    if link:
        yield Text(f"  {link}", style="dim")


def _step(step: Step, locale: str) -> Iterator[Text]:
    if not step.failures:
        return
    name, status = printable(step.name) or "(unnamed)", codes.run(step.status)
    yield Text(
        f"    step {name}: {status.name(locale)},"
        f" {len(step.failures)} of {len(step.hosts)} hosts failed"
    )
    clusters = _clusters(step, locale)
    width = max(map(len, clusters))
    for said, addresses in clusters.items():
        shown = " ".join(addresses[:MOST_HOSTS])
        more = len(addresses) - MOST_HOSTS
        rest = f" and {more:,} more" if more > 0 else ""
        yield Text(f"      {said:<{width}}  {shown}{rest}", style="red")


def _clusters(step: Step, locale: str) -> dict[str, list[str]]:
    """Gather hosts that failed alike, the largest cluster first."""
    statuses = {host: failure.status for host, failure in step.failures.items()}
    alike: dict[str, list[str]] = {}
    for host in events.host_list(statuses, locale):
        cloud = f"{host.bk_cloud_id}:" if host.bk_cloud_id else ""
        alike.setdefault(host.status_name, []).append(f"{cloud}{host.ip or '(no ip)'}")
    return dict(sorted(alike.items(), key=lambda each: -len(each[1])))
