"""JOB calls back: the end of an instance, posted to the URL it was launched with.

A hint at best: tried at most twice and then forgotten. Not posted of a refused
confirmation (13), nor of anything that is not an end.
"""

from collections.abc import Iterator
from typing import Any, Final

import aiohttp
import anyio
import msgspec

from monitor.simulator.answer import JSON
from monitor.simulator.faults import Name
from monitor.simulator.instance import Instance
from monitor.simulator.story import Story
from monitor.simulator.timeline import Moment, Timeline
from monitor.simulator.wording import numbered
from monitor.simulator.world import World

# bk-job JobListener#finishJob; 13 does not pass there.
_CALLED: Final = frozenset({3, 4, 9, 11, 14})

_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=15)

_TICK: Final = 0.1  # seconds; the clock of a world may be moved by hand


class End(msgspec.Struct, frozen=True):
    """*at* is in seconds since the instance began."""

    at: float
    moment: Moment


def ends(timeline: Timeline) -> Iterator[End]:
    """List the ends that are called for: one for each attempt that comes to one."""
    before: int | None = None
    for frame in timeline.frames:
        moment = frame.moment
        if moment and moment.status in _CALLED and moment.status != before:
            yield End(frame.at, moment)
        before = moment.status if moment else before


def body(instance: Instance, moment: Moment) -> bytes:
    """Word an end. The documents call the array step_instance_list; nobody sends that.

    bk-job JobCallbackDTO.java, in all branches.
    """
    said: dict[str, Any] = {
        "job_instance_id": instance.job_instance_id,
        "status": moment.status,
        "step_instances": [
            {"step_instance_id": identifier, "status": step.status}
            for step, identifier in numbered(instance.job_instance_id, moment)
        ],
    }
    return msgspec.json.encode(said)


class _Errand:
    """The ends of one instance that are still to be called."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self._timeline: Timeline | None = None
        self._called = -1.0
        self._pending: list[End] = []

    def due(self, now: float, lead: float) -> Iterator[End]:
        self._look()
        while self._pending and self._time(self._pending[0]) - lead <= now:
            end = self._pending.pop(0)
            self._called = end.at
            yield end

    def _look(self) -> None:
        """Read the story anew if a retry has changed it."""
        story = self.instance.story
        if isinstance(story, Story) and story.timeline is not self._timeline:
            self._timeline = story.timeline
            self._pending = [
                end
                for end in ends(story.timeline)
                if end.at > self._called and self._time(end) >= self.instance.played
            ]

    def _time(self, end: End) -> float:
        return self.instance.began + end.at


async def deliver(world: World) -> None:
    """Call back for as long as it is let; the first instance to ask for it wakes it."""
    await world.callback_wanted.wait()
    errands: dict[Instance, _Errand] = {}
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT) as session,
        anyio.create_task_group() as tasks,
    ):
        while True:
            for instance in world.callers:
                errand = errands.setdefault(instance, _Errand(instance))
                for end in errand.due(world.now(), _lead(world, instance)):
                    tasks.start_soon(_call, world, session, instance, end)
            await anyio.sleep(_TICK)


def _lead(world: World, instance: Instance) -> float:
    """Say how much too early a callback comes, chances and windows aside."""
    faults = (*world.faults.faults, *instance.faults.faults)
    early = (fault for fault in faults if fault.name is Name.CALLBACK_EARLY)
    return max((fault.number for fault in early), default=0.0)


async def _call(
    world: World, session: aiohttp.ClientSession, instance: Instance, end: End
) -> None:
    names = {fault.name for fault in world.striking(instance)}
    if Name.CALLBACK_LOST in names:
        world.record.callbacks["lost"] += 1
        return
    text = body(instance, end.moment)
    for _ in range(2 if Name.CALLBACK_REPEATED in names else 1):
        outcome = await _post(session, instance.launch.callback_url or "", text)
        world.record.callbacks[outcome] += 1


async def _post(session: aiohttp.ClientSession, url: str, text: bytes) -> str:
    """Post JSON, and the same text as a form once more unless that is told 200.

    Whoever cannot be reached is not tried again (bk-job CallbackListener.java since
    3.11, HttpConPoolUtil.java).
    """
    try:
        for headers in (JSON, _FORM):
            async with session.post(url, data=text, headers=headers) as response:
                if response.status == 200:
                    return "delivered"
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return "failed"
    return "refused"
