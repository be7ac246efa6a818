"""Waits for what a daemon sees of the instances of one source, and tells a vigil.

JOB is asked nothing: the daemon looks anyway. Whom it does not see well is handed over
to be looked at directly, and so are all once it is gone. An end counts if the daemon saw
it while we waited; what had ended before is not believed, for somebody may just have
retried it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import aclosing
from typing import Final

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Struct

from monitor import errors
from monitor.cli.waiting import retold
from monitor.cli.waiting.inquiry import Inquiry
from monitor.cli.waiting.vigil import Looking, Vigil
from monitor.core import codes, ending
from monitor.core.ending import Ending
from monitor.core.model import InstanceKey
from monitor.core.reach import Cause, Kind, Standing
from monitor.core.state import Phase
from monitor.core.transitions import Transition
from monitor.ports import Now
from monitor.web.shapes.instances import HostStateData, InstanceStateData
from monitor.web.shapes.sources import SourceData
from monitor.web.shapes.watches import LookedData

EVERY: Final = 10.0
"""Seconds until it is asked how it looks, though nothing was recorded."""

PER_KEY: Final = 0.05
"""By how much longer it is left alone for each of many."""

SOON: Final = 1.0
"""The same, while an end is to be confirmed."""

AWAY: Final = 5.0
"""Seconds for a daemon to come back. One that reloads hangs up, but its socket stays."""

AGAIN: Final = 0.5

UNSEEN: Final = 2
"""Looks in a row that failed, until we look ourselves."""

MOST: Final = 50
"""Keys that a stream is asked for by name; of more, it tells of all."""

WANTED: Final = ("instance", "source", "hosts.failed", "hosts.recovered")
CURIOUS: Final = (*WANTED, "step", "hosts.changed")
"""Also what moves on the way."""


class Url(Struct):
    url: str = ""


class Configured(Struct):
    """What is looked at of the daemon's configuration."""

    sources: dict[str, Url]


Direct = Callable[[Collection[InstanceKey]], Looking]


def fit(said: InstanceStateData) -> bool:
    """Tell whether the daemon is to be asked of it: it looks, and it still runs."""
    return (
        said.watch is not None
        and not said.paused
        and said.phase == Phase.WATCHED
        and not said.gone
        and not said.failures
        and said.status is not None
        and not codes.run(said.status).finished
    )


async def entrusted(
    inquiry: Inquiry, keys: Iterable[InstanceKey], urls: Mapping[str, str]
) -> frozenset[InstanceKey]:
    """Choose whom the daemon may be asked about: fit ones, of sources with the same *urls*."""
    known = await inquiry.get("/config", Configured)
    return frozenset(
        [
            key
            for key in keys
            if known.sources.get(key.source, Url()).url == urls[key.source]
            and await _fit(inquiry, key)
        ]
    )


async def _fit(inquiry: Inquiry, key: InstanceKey) -> bool:
    try:
        return fit(await inquiry.get(f"/instances{path(key)}", InstanceStateData))
    except errors.NotFound:
        return False


def path(key: InstanceKey) -> str:
    return f"/{key.source}/{key.scope_type}/{key.scope_id}/{key.job_instance_id}"


class Relay:
    """*curious*: every transition is told, not only what decides."""

    def __init__(
        self,
        inquiry: Inquiry,
        source: str,
        keys: Iterable[InstanceKey],
        vigil: Vigil,
        *,
        direct: Direct,
        curious: bool,
        now: Now,
    ) -> None:
        self._inquiry = inquiry
        self._source = source
        self._keys = {str(key): key for key in keys}
        self._vigil = vigil
        self._direct = direct
        self._curious = curious
        self._began = now()
        self._news = anyio.Event()
        self._dirty: set[InstanceKey] = set()
        self._moved: dict[InstanceKey, list[Transition]] = {}
        self._unconfirmed: dict[InstanceKey, InstanceStateData] = {}
        self._given_up: list[Collection[InstanceKey]] = []
        self._away_since: float | None = None
        self._last: str | None = None
        self._doubted = False

    async def run(self) -> None:
        """Wait until each is over; those that are handed over, until cancelled."""
        async with anyio.create_task_group() as looking:
            await self._relay(looking)

    async def _relay(self, looking: TaskGroup) -> None:
        async with anyio.create_task_group() as hearing:
            hearing.start_soon(self._listen, name=f"stream {self._source}")
            while self._keys:
                await self._attend()
                for keys in self._given_up:
                    looking.start_soon(self._direct(keys))
                self._given_up.clear()
            hearing.cancel_scope.cancel()

    async def refresh(self) -> None:
        """Learn how those stand that are still running, for the last time."""
        for key in list(self._keys.values()):
            said = await self._instance(key)
            if fit(said):
                await self._tell(key, said)

    async def _listen(self) -> None:
        while True:
            try:
                await self._follow()
            except errors.NoDaemon:
                pause = AGAIN  # whoever attends finds out whether it is gone
            except (errors.DaemonError, msgspec.DecodeError):
                # Too many follow it already: ask.
                self._note(self._keys.values())
                pause = EVERY / 5
            else:
                pause = AGAIN
            await anyio.sleep(pause)

    async def _follow(self) -> None:
        stream = self._inquiry.stream(self._last, **self._query())
        connected = False
        async with aclosing(stream) as told:
            async for self._last, event in told:
                if not connected:
                    # What was recorded before we were connected is asked for.
                    self._note(self._keys.values())
                    connected = True
                if event:
                    self._hear(retold.event(event))

    def _query(self) -> dict[str, list[str]]:
        query = {"type": list(CURIOUS if self._curious else WANTED)}
        if len(self._keys) <= MOST:
            query["key"] = [*self._keys, self._source]
        return query

    def _hear(self, event: retold.Event) -> None:
        if event.partitionkey == self._source:
            if event.type == Kind.LOST:
                self._lose(event.data.cause or Cause.UNREACHABLE)
            return
        key = self._keys.get(event.partitionkey)
        if key is None:
            return
        moved = retold.transition(event)
        if moved is not None and self._curious:
            self._moved.setdefault(key, []).append(moved)
        self._note([key])

    def _note(self, keys: Iterable[InstanceKey]) -> None:
        self._dirty.update(keys)
        self._news.set()

    async def _attend(self) -> None:
        """Ask about whom there is news, or else how all are looked at."""
        calm = max(EVERY, len(self._keys) * PER_KEY)
        with anyio.move_on_after(SOON if self._unconfirmed else calm):
            await self._news.wait()
        self._news = anyio.Event()
        dirty, self._dirty = self._dirty, set()
        try:
            if dirty:
                await self._ask(dirty)
            else:
                await self._check()
        except errors.DaemonError as gone:
            self._dirty |= dirty
            await self._miss(gone)
        else:
            self._away_since = None

    async def _ask(self, keys: Iterable[InstanceKey]) -> None:
        for key in sorted(keys):
            if str(key) not in self._keys:
                continue
            try:
                await self._take(key, await self._instance(key))
            except errors.NotFound as unknown:
                self._give_up([key], str(unknown))

    async def _instance(self, key: InstanceKey) -> InstanceStateData:
        return await self._inquiry.get(f"/instances{path(key)}", InstanceStateData)

    async def _take(self, key: InstanceKey, said: InstanceStateData) -> None:
        if said.watch is None or said.paused or said.phase != Phase.WATCHED:
            self._give_up([key], f"{key}: the daemon looks at it no more")
        elif said.gone:
            self._end(key, Ending.GONE, "the daemon has asked for it")
        elif await self._tell(key, said) and codes.run(said.status or 0).finished:
            if self._sure(said):
                self._end(key, ending.of(retold.snapshot(said, {})))
            else:
                self._unconfirmed[key] = said

    def _sure(self, said: InstanceStateData) -> bool:
        """Tell whether an end may be believed, or is to be seen once more.

        Once more if it may be a torn read (JOB writes hosts, step and job one after
        the other), or if the daemon asked before we began to wait.
        """
        # Whoever asks another node hears when it moved last: it was looked at then.
        seen_at = said.seen_at or said.changed_at
        late = seen_at is not None and seen_at >= self._began
        return _confirmed(said, said) or (late and not said.distinct.unfinished)

    async def _tell(self, key: InstanceKey, said: InstanceStateData) -> bool:
        """Tell how it stands; not if it moved while we asked for its hosts."""
        failed = {
            step.step_instance_id: await self._failed(key, step.step_instance_id)
            for step in said.steps
            if step.failed
        }
        if failed and (await self._instance(key)).sequence != said.sequence:
            self._note([key])
            return False
        snapshot = retold.snapshot(said, failed)
        moved = self._moved.pop(key, [])
        self._vigil.saw(key, snapshot, moved, retold.counts(said))
        return True

    async def _failed(self, key: InstanceKey, step: int) -> list[HostStateData]:
        where = f"/instances{path(key)}/steps/{step}/hosts"
        return await self._inquiry.all_of(where, HostStateData, standing="failed")

    async def _check(self) -> None:
        """Find out whom the daemon does not see, though it says nothing of it."""
        sources = await self._inquiry.all_of("/sources", SourceData)
        standing = {each.name: each for each in sources}.get(self._source)
        if standing is not None and standing.standing == Standing.LOST:
            self._lose(standing.cause or Cause.UNREACHABLE)
        self._doubted = standing is not None and standing.standing != Standing.SEEN
        for key in list(self._keys.values()):
            await self._check_one(key)

    async def _check_one(self, key: InstanceKey) -> None:
        try:
            looked = await self._inquiry.get(f"/watches{path(key)}", LookedData)
        except errors.NotFound:
            self._note([key])  # retired, or watched no more
            return
        if looked.paused is not None:
            self._give_up([key], f"{key}: the daemon looks at it no more")
        elif looked.failures is None:
            if key in self._unconfirmed:
                self._give_up(
                    [key], f"{key}: another node looks at it, be sure of its end"
                )
        elif looked.failures >= UNSEEN and not self._doubted:
            self._give_up([key], f"{key}: the daemon cannot see it")
        elif key in self._unconfirmed and _confirmed(self._unconfirmed[key], looked):
            self._note([key])

    async def _miss(self, gone: errors.DaemonError) -> None:
        now = anyio.current_time()
        self._away_since = since = self._away_since or now
        if now - since >= AWAY:
            self._give_up(list(self._keys.values()), str(gone))
            return
        self._news.set()
        await anyio.sleep(AGAIN)

    def _lose(self, cause: str) -> None:
        how = Ending.REFUSED if cause == Cause.AUTH else Ending.LOST
        self._keys.clear()
        self._news.set()
        self._vigil.lose(self._source, how, f"the daemon cannot see it: {cause}")

    def _end(self, key: InstanceKey, how: Ending, reason: str = "") -> None:
        self._drop(key)
        self._vigil.end(key, how, reason)

    def _give_up(self, keys: Collection[InstanceKey], why: str) -> None:
        for key in keys:
            self._drop(key)
        self._given_up.append(keys)
        self._vigil.hearer.handed_over(len(keys), why)

    def _drop(self, key: InstanceKey) -> None:
        self._keys.pop(str(key), None)
        self._unconfirmed.pop(key, None)
        self._news.set()


def _confirmed(
    finished: InstanceStateData, looked: LookedData | InstanceStateData
) -> bool:
    """Tell whether it was looked at since it was found finished."""
    since = finished.finished_at
    return since is None or (looked.seen_at is not None and looked.seen_at > since)
