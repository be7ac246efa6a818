"""What was recorded about instances, written into the store without any visit."""

from collections.abc import Iterable

import anyio

from monitor.core import state
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.policy import Policy
from monitor.core.state import Change, Phase
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from monitor.recorder import Recorder
from tests.support import clock
from tests.support.answers import FAILED, KEY


def a_frame(key: InstanceKey = KEY, **labels: str) -> Frame:
    return Frame(
        source=key.source,
        key=str(key),
        subject=key.subject,
        instance=key,
        labels=labels,
    )


async def saw(
    recorder: Recorder,
    snapshot: Snapshot = FAILED,
    key: InstanceKey = KEY,
    *,
    severity: Severity | None = None,
) -> None:
    """Record what a visit that brought *snapshot* would."""
    policy = Policy(severity=severity)

    def decide(known: state.State) -> Change | None:
        return state.seen(known, snapshot, a_frame(key), clock.now(), policy=policy)

    await recorder.record(str(key), decide)


async def saw_all(
    recorder: Recorder, snapshot: Snapshot, keys: Iterable[InstanceKey]
) -> None:
    """Record it about all of *keys* at once."""
    async with anyio.create_task_group() as tasks:
        for key in keys:
            tasks.start_soon(saw, recorder, snapshot, key)


async def unwatched(recorder: Recorder, key: InstanceKey = KEY) -> None:
    await recorder.record(
        str(key),
        lambda known: state.ended(known, Phase.UNWATCHED, a_frame(key), clock.now()),
    )
