"""Progress and what was found, for people at a terminal; Rich is imported here only.

Text from JOB is never read as markup. A cluster of hosts is cut after the first
fifty; pipes and ``-o`` give all of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from monitor.cli.waiting import talk
from monitor.core import codes, wording
from monitor.core.ending import Ending, Finding
from monitor.core.model import InstanceKey, Snapshot, Step
from monitor.core.wording import Frame
from monitor.sinks.printable import printable

MOST_BARS: Final = 8
MOST_HOSTS: Final = 50

_NARROWING: Final = Column(ratio=1, no_wrap=True, overflow="ellipsis")
_STYLES: Final = {
    Ending.SUCCEEDED: "green",
    Ending.FAILED: "bold red",
    Ending.RUNNING: "yellow",
}


class Gauge:
    """A bar for each of a few instances, or one that counts how many have ended.

    The bar of an instance counts hosts that are done, over all steps known so far.
    """

    def __init__(
        self, progress: Progress, keys: Sequence[InstanceKey], locale: str
    ) -> None:
        self._progress = progress
        self._locale = locale
        self._bars: dict[InstanceKey, TaskID] = {}
        if len(keys) <= MOST_BARS:
            self._bars = {key: progress.add_task(str(key), total=None) for key in keys}
        else:
            self._ended: set[InstanceKey] = set()
            self._all = progress.add_task("instances ended", total=len(keys))

    def say(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True)

    def show(self, finding: Finding) -> None:
        if self._bars:
            self._show_hosts(finding)
        elif finding.ending is not Ending.RUNNING:
            self._ended.add(finding.key)
            self._progress.update(self._all, completed=len(self._ended))

    def _show_hosts(self, finding: Finding) -> None:
        seen = finding.snapshot
        if seen is None:
            return
        counts = finding.counts
        self._progress.update(
            self._bars[finding.key],
            description=_described(finding, seen, self._locale),
            completed=counts.done,
            total=sum(counts.rows.values()) or None,
        )


def _described(finding: Finding, seen: Snapshot, locale: str) -> str:
    rows = finding.counts.rows
    begun = sum(
        bool(rows[step.step_instance_id]) or step.status != 1 for step in seen.steps
    )
    name = f", {printable(seen.name, 64)}" if seen.name else ""
    status = codes.run(seen.status).name(locale)
    return f"{finding.key}: {status}, step {begun} of {len(seen.steps)}{name}"


@contextmanager
def gauge(
    keys: Sequence[InstanceKey], stream: TextIO, locale: str = "en"
) -> Iterator[Gauge]:
    progress = Progress(
        # What JOB calls a job is cut first where a line is too long.
        TextColumn("{task.description}", markup=False, table_column=_NARROWING),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_console(stream),
        expand=True,
        transient=True,
    )
    with progress:
        yield Gauge(progress, keys, locale)


def table(found: Iterable[tuple[Finding, Frame]], stream: TextIO) -> None:
    """Print a paragraph for each instance."""
    console = _console(stream)
    for finding, frame in found:
        for line in _paragraph(finding, frame):
            console.print(line, soft_wrap=True)


def _console(stream: TextIO) -> Console:
    return Console(file=stream, highlight=False, markup=False, emoji=False)


def _paragraph(finding: Finding, frame: Frame) -> Iterator[Text]:
    seen = finding.snapshot
    head = Text(frame.key, style="bold")
    if seen is not None and seen.name:
        head.append(f"  {printable(seen.name)}", style="not bold")
    yield head
    style = _STYLES.get(finding.ending, "red")
    yield Text(f"  {talk.standing(finding, frame.locale)}", style)
    for step in seen.steps if seen is not None else ():
        if step.failures:
            total = finding.counts.rows[step.step_instance_id]
            yield from _failed_step(step, total, frame.locale)
    link = wording.link(frame, seen, None)
    if link:
        yield Text(f"  {link}", style="dim")


def _failed_step(step: Step, total: int, locale: str) -> Iterator[Text]:
    name, status = printable(step.name) or "(unnamed)", codes.run(step.status)
    yield Text(
        f"    step {name}: {status.name(locale)},"
        f" {len(step.failures)} of {total} hosts failed"
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
    alike: dict[str, list[str]] = {}
    for host in wording.failed_list(step.failures, locale):
        cloud = f"{host.bk_cloud_id}:" if host.bk_cloud_id else ""
        alike.setdefault(host.status_name, []).append(f"{cloud}{host.shown}")
    return dict(sorted(alike.items(), key=lambda each: -len(each[1])))
