"""What was found, for pipes and for programs.

The shapes are public (``docs/wait.md``) and use the words of the events: one line
for each failed host, or one object for each instance.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum

import msgspec
from msgspec import Struct

from monitor.core import codes, ending, wording
from monitor.core.ending import Counts, Finding
from monitor.core.model import Snapshot, Step
from monitor.core.wording import Frame, HostData, InstanceData, StatusData


class Output(StrEnum):
    TABLE = "table"
    PLAIN = "plain"
    JSON = "json"
    JSONL = "jsonl"


class StepData(Struct, kw_only=True):
    step_instance_id: int
    execute_count: int
    name: str
    status: int
    status_name: str
    failed: int
    total: int


class FindingData(Struct, kw_only=True):
    """*hosts* are the failed ones, each once; counts are of distinct hosts.

    *after* is None where the instance was never seen.
    """

    outcome: str
    reason: str
    instance: InstanceData | None
    link: str | None
    after: StatusData | None
    failed: int
    total: int
    unfinished: int
    hosts: list[HostData]
    steps: list[StepData]
    started_at: datetime | None
    ended_at: datetime | None


_UNSEEN = Snapshot(status=0)


def data(finding: Finding, frame: Frame) -> FindingData:
    seen = finding.snapshot or _UNSEEN
    status = finding.snapshot.status if finding.snapshot else None
    failed, counts = ending.failed_hosts(seen), finding.counts
    return FindingData(
        outcome=finding.ending,
        reason=finding.reason,
        instance=wording.instance_data(frame, seen),
        link=wording.link(frame, seen, None),
        after=wording.status_data(status, frame.locale),
        failed=len(failed),
        total=counts.hosts,
        unfinished=counts.unfinished,
        hosts=wording.failed_list(failed, frame.locale),
        steps=[_step(step, counts, frame.locale) for step in seen.steps],
        started_at=seen.started_at,
        ended_at=seen.ended_at if seen.finished else None,
    )


def lines(found: Iterable[tuple[Finding, Frame]], output: Output) -> Iterator[str]:
    """Render all but a table, which ``terminal`` does."""
    if output is Output.PLAIN:
        for finding, frame in found:
            yield from _plain(finding, frame)
        return
    datas = [data(finding, frame) for finding, frame in found]
    if output is Output.JSON:
        yield msgspec.json.format(msgspec.json.encode(datas)).decode()
    else:
        yield from (msgspec.json.encode(each).decode() for each in datas)


def _plain(finding: Finding, frame: Frame) -> Iterator[str]:
    failed = ending.failed_hosts(finding.snapshot or _UNSEEN)
    for host in wording.failed_list(failed, frame.locale):
        fields = (host.shown, host.bk_cloud_id or 0, frame.key)
        yield "\t".join(map(str, (*fields, host.status, host.status_name)))


def _step(step: Step, counts: Counts, locale: str) -> StepData:
    return StepData(
        step_instance_id=step.step_instance_id,
        execute_count=step.execute_count,
        name=step.name,
        status=step.status,
        status_name=codes.run(step.status).name(locale),
        failed=len(step.failures),
        total=counts.rows[step.step_instance_id],
    )
