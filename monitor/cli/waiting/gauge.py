"""Progress on a terminal: hosts that are done, or instances that have ended.

A bar for each of a few instances, counting hosts over all steps known so far; of
many instances one bar counts those that have ended. Rich is imported here only.
"""

from collections.abc import Iterator, Sequence
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

from monitor.core import codes
from monitor.core.ending import Ending, Finding
from monitor.core.model import InstanceKey, Snapshot
from monitor.sinks.printable import printable

MOST_BARS: Final = 8

_NARROWING: Final = Column(ratio=1, no_wrap=True, overflow="ellipsis")


class Gauge:
    def __init__(
        self, progress: Progress, keys: Sequence[InstanceKey], locale: str
    ) -> None:
        self._progress = progress
        self._locale = locale
        self._ended: set[InstanceKey] = set()
        self._bars: dict[InstanceKey, TaskID] = {}
        if len(keys) <= MOST_BARS:
            self._bars = {key: progress.add_task(str(key), total=None) for key in keys}
        else:
            self._all = progress.add_task("instances ended", total=len(keys))

    def show(self, finding: Finding) -> None:
        if finding.key in self._bars:
            self._show_hosts(self._bars[finding.key], finding)
        elif finding.ending is not Ending.RUNNING:
            self._ended.add(finding.key)
            self._progress.update(self._all, completed=len(self._ended))

    def say(self, line: str) -> None:
        self._progress.console.print(line, soft_wrap=True)

    def _show_hosts(self, bar: TaskID, finding: Finding) -> None:
        seen = finding.snapshot
        if seen is None:
            return
        done, total = hosts(seen)
        said = _described(finding.key, seen, self._locale)
        self._progress.update(bar, description=said, completed=done, total=total)


def hosts(seen: Snapshot) -> tuple[int, int | None]:
    """Count the hosts that are done, of how many; None while nobody knows."""
    statuses = [status for step in seen.steps for status in step.hosts.values()]
    done = sum(codes.host(status).finished for status in statuses)
    return done, len(statuses) or None


def _described(key: InstanceKey, seen: Snapshot, locale: str) -> str:
    begun = sum(bool(step.hosts) or step.status != 1 for step in seen.steps)
    name = f", {printable(seen.name, 64)}" if seen.name else ""
    status = codes.run(seen.status).name(locale)
    return f"{key}: {status}, step {begun} of {len(seen.steps)}{name}"


@contextmanager
def shown(
    keys: Sequence[InstanceKey], stream: TextIO, locale: str = "en"
) -> Iterator[Gauge]:
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    progress = Progress(
        # What JOB calls a job is cut first where a line is too long.
        TextColumn("{task.description}", markup=False, table_column=_NARROWING),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        expand=True,
        transient=True,
    )
    with progress:
        yield Gauge(progress, keys, locale)
