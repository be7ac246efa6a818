"""One look at one instance: gather → decide → apply.

A visit asks the source, lets ``core`` decide what that means, and commits state
and events together. What goes wrong with a visit moves the sight of the source
and the cadence of the instance, never a snapshot. One poller per source.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from math import inf
from typing import Final, TypeVar

import anyio
import structlog

from monitor import agenda, errors
from monitor.agenda import Agenda, Learning, Rules
from monitor.core import backoff, model, state, wording
from monitor.core.asking import Depth
from monitor.core.model import InstanceKey, Snapshot
from monitor.core.policy import Policy
from monitor.core.shards import SHARDS, shard
from monitor.core.state import Phase
from monitor.core.watch import Watch
from monitor.core.wording import Frame
from monitor.holdings import Holdings
from monitor.looking import Looking
from monitor.pace import Pace
from monitor.ports import Head, Luck, Memory, Now, Source
from monitor.recorder import Decide, Recorder
from monitor.sight import Sight
from monitor.tracks import Plan, Track, Tracks, kinds_of

GONE_AFTER: Final = 3
"""Answers in a row that know no such instance, until it is believed gone."""

UNSEEN_AFTER: Final = 10
"""Visits to one instance that failed in a row, until somebody is told."""

PATIENCE: Final = 5.0
"""Seconds that a visit is given before its instance is left to another daemon."""

AT_ONCE: Final = 200
"""Removed watches that are ended together."""

SPREAD_PER_WATCH: Final = 0.01
"""Seconds by which each added watch widens the spread of the first visits."""

log = structlog.get_logger()


class Poller:
    """*detected* hears by how many seconds each end was seen after JOB's own time.

    *retired* are those that are still to be watched, and have ended for good.
    *paused* tells whom people do not want to be looked at, *watch_of* how others are
    watched, *holdings* which instances are ours.
    """

    def __init__(
        self,
        source: Source,
        plan: Plan,
        *,
        memory: Memory,
        recorder: Recorder,
        sight: Sight,
        pace: Pace,
        rules: Rules,
        learning: Learning | None = None,
        detected: Callable[[float], None] = lambda _: None,
        paused: Callable[[InstanceKey], bool] = lambda _: False,
        watch_of: Callable[[InstanceKey], Watch | None] = lambda _: None,
        holdings: Holdings | None = None,
        now: Now,
        luck: Luck,
    ) -> None:
        self._source = source
        self._plan = plan
        self._memory = memory
        self._recorder = recorder
        self._sight = sight
        self._pace = pace
        self._rules = rules
        self._now = now
        self._luck = luck
        self.tracks = Tracks(plan)
        self.retired: set[InstanceKey] = set()
        self._shards = (holdings or Holdings()).active
        self._remembered: frozenset[int] = frozenset()
        self._listing = anyio.Lock()
        self._visiting: set[InstanceKey] = set()
        self._landed = anyio.Event()
        self._unknown: set[tuple[str, int]] = set()
        self._detected = detected
        self._paused = paused
        self._watch_of = watch_of
        # The clock of anyio.current_time, which takes ten times as long to ask.
        self._time = asyncio.get_running_loop().time
        self._learning = learning
        self.agenda = Agenda(rules, self._learning, now=now, luck=luck)
        self._looking = Looking(source, pace, early=rules.early, known=self._known)

    def __len__(self) -> int:
        return len(self.tracks)

    async def watch(self, watches: Iterable[Watch]) -> None:
        """Watch exactly those of *watches* that are ours to watch.

        What was watched before keeps its schedule.
        """
        now = self._now()
        async with self._listing:
            heads = await self._remember()
            wanted = {
                watch.key: watch
                for watch in watches
                if self._is_ours(watch.key) and not agenda.over(watch, now)
            }
            for key in wanted.keys() & self.tracks.keys():
                _renew(self.tracks[key], wanted[key])
            added = wanted.keys() - self.tracks.keys() - self.retired
            self._follow([wanted[key] for key in added], heads)
            known = self.tracks.keys() | self.retired | heads.keys()
            await self._unwatch(known - wanted.keys())
            await self._sight.keep(self.tracks)

    async def _remember(self) -> dict[InstanceKey, Head]:
        """Take up which instances of shards that are new here are watched or retired.

        Once, for they may be many.
        """
        new = self._shards - self._remembered
        return await self._take_up(new) if new else {}

    async def _take_up(self, new: frozenset[int]) -> dict[InstanceKey, Head]:
        found = await self._memory.heads(self._source.name, new)
        keyed = ((model.read_key(head.key), head) for head in found)
        heads = {key: h for key, h in keyed if key and h.phase is not Phase.UNWATCHED}
        self.retired |= {
            key
            for key, head in heads.items()
            if head.phase is Phase.RETIRED and head.finished_at
        }
        self._remembered |= new
        return heads

    def _is_ours(self, key: InstanceKey) -> bool:
        return len(self._shards) == SHARDS or shard(str(key)) in self._shards

    def gain(self, gained: frozenset[int]) -> None:
        """Watch the instances of these shards too, from the next ``watch`` on.

        Its watches must be all that anybody wants: what is not among them is ended. So
        this is nothing to be said while another ``watch`` is under way.
        """
        self._shards |= gained

    async def let_go(self, left: frozenset[int]) -> None:
        """Leave the instances of these shards to others; what is known of them stays."""
        async with self._listing:
            self._shards -= left
            self._remembered -= left
            mine = [key for key in self.tracks if shard(str(key)) in left]
            for key in mine:
                self._plan.drop(key)
            # What JOB says just now might be seen by nobody else.
            with anyio.move_on_after(PATIENCE):
                await self._visited(mine)
            for key in mine:
                self.tracks.pop(key, None)
            gone = {key for key in self.retired if shard(str(key)) in left}
            self.retired -= gone

    def _follow(
        self, added: Iterable[Watch], heads: Mapping[InstanceKey, Head]
    ) -> None:
        new = {watch.key: Track(watch, heads.get(watch.key)) for watch in added}
        self.tracks.follow(new)
        for key, track in new.items():
            track.paused = self._paused(key)
        due = [key for key, track in new.items() if not track.paused]
        self._plan.spread(due, min(self._rules.spread, len(due) * SPREAD_PER_WATCH))

    async def _visited(self, keys: Collection[InstanceKey]) -> None:
        """Wait until none of *keys* is being visited."""
        while not self._visiting.isdisjoint(keys):
            self._landed = anyio.Event()
            await self._landed.wait()

    def pause(self, key: InstanceKey) -> None:
        """Look at *key* no more until ``resume``; what is known of it stays."""
        track = self.tracks.get(key)
        if track is not None:
            track.paused = True
            self._plan.drop(key)

    def resume(self, key: InstanceKey) -> None:
        track = self.tracks.get(key)
        if track is not None and track.paused:
            # What a list said of it is an old story by now.
            track.paused = track.vouched = False
            self._plan.plan(key)

    async def _unwatch(self, keys: Iterable[InstanceKey]) -> None:
        for some in _batched(keys, AT_ONCE):
            async with anyio.create_task_group() as tasks:
                for key in some:
                    track = self.tracks.pop(key, None)
                    self.retired.discard(key)
                    self._plan.drop(key)
                    watch = track.watch if track else None
                    tasks.start_soon(self._end, key, watch, Phase.UNWATCHED)

    async def visit(self, key: InstanceKey) -> float | None:
        """Look once; say in how many seconds to look again, None for never."""
        track = self.tracks.get(key)
        if track is None or track.paused:
            return None
        self._visiting.add(key)
        try:
            return await self._visit(track)
        finally:
            self._visiting.discard(key)
            self._landed.set()

    async def _visit(self, track: Track) -> float | None:
        key, began = track.watch.key, self._time()
        try:
            seen = await self._looking.look(key, track)
        except errors.SourceError as error:
            delay = await self._failed(track, error)
            if agenda.over(track.watch, self._now()):
                delay = None
        else:
            if self._sight.troubled:
                await self._sight.clear(key)
            track.failures = track.missing = 0
            track.seen_at = began
            if seen.snapshot is not None:
                used = await self._compare(track, seen.snapshot)
                seen.remember(track, used=used)
            elif track.due <= began:
                await self._compare_times(track, whole=seen.depth is Depth.HOSTS)
            if track.due <= began and not track.blind:
                # It is decided by an answer with hosts.
                track.hurried = True
            delay = self.agenda.next(track)
        if delay is None:
            await self._retire(track)
        else:
            track.pause = delay
        return delay

    async def _compare(self, track: Track, snapshot: Snapshot) -> bool:
        now, frame = self._now(), self._frame(track.watch, track.watch.key)
        self._report_unknown(snapshot)
        return await self._record(
            track,
            lambda known: state.seen(
                known,
                snapshot,
                frame,
                now,
                policy=self._policy(track.watch, snapshot, known.snapshot),
                seen_since=self._sight.since,
            ),
        )

    async def _compare_times(self, track: Track, *, whole: bool) -> None:
        """Look whether time alone has made something wrong."""
        now, frame = self._now(), self._frame(track.watch, track.watch.key)
        await self._record(
            track,
            lambda known: state.seen_again(
                known,
                frame,
                now,
                policy=self._policy(track.watch, known.snapshot),
                seen_since=self._sight.since,
                whole=whole,
            ),
        )

    def _policy(self, watch: Watch, *told: Snapshot | None) -> Policy:
        """Say what is expected of an instance by what was *told* of it, newest first."""
        policy = self._rules.policy.within(watch.options)
        if policy.overdue_percentile is None or self._learning is None:
            return policy
        kinds = kinds_of(watch.key, *told)
        usual = self._learning.percentile(kinds, policy.overdue_percentile)
        return policy if usual is None else policy.after_runs_of(usual)

    async def _record(self, track: Track, decide: Decide) -> bool:
        key = track.watch.key

        def decide_if_watched(known: state.State) -> state.Change | None:
            return decide(known) if self.tracks.get(key) is track else None

        after = await self._recorder.record(str(key), decide_if_watched)
        if after is not None:
            self._take_note(track, after)
        return after is not None

    def _take_note(self, track: Track, after: state.State) -> None:
        known, now = after.snapshot, self._now()
        ended = after.finished_at is not None and track.finished_at is None
        seen_running = track.outline is not None
        track.changed_at, track.finished_at = after.changed_at, after.finished_at
        track.stepped_at = after.stepped_at
        track.learn(known)
        if known is not None:
            track.place(known, now)
        track.due = self._due(track, after, now)
        if ended and seen_running and known is not None:
            self._learn(track, known, now)

    def _due(self, track: Track, known: state.State, now: datetime) -> float:
        policy = self._policy(track.watch, known.snapshot)
        at = state.wrong_at(known, now, policy=policy, seen_since=self._sight.since)
        return inf if at is None else self._time() + (at - now).total_seconds()

    def _learn(self, track: Track, known: Snapshot, now: datetime) -> None:
        """Learn from an end that was seen: how long it took, how late we were."""
        if known.ended_at is None:
            return
        self._detected(max(0.0, (now - known.ended_at).total_seconds()))
        if known.started_at is None:
            return
        # A job that was retried has run for longer than its like.
        if self._learning and not any(step.execute_count for step in known.steps):
            seconds = (known.ended_at - known.started_at).total_seconds()
            self._learning.saw_end(track.kinds, max(0.0, seconds))

    async def _known(self, key: InstanceKey) -> Snapshot | None:
        return (await self._memory.load(str(key))).snapshot

    async def _retire(self, track: Track) -> None:
        key = track.watch.key
        # A visit may outlive its watch, which has been ended by then.
        if self.tracks.get(key) is track:
            del self.tracks[key]
            # Whose end date passed while it ran comes back with a later one.
            if track.finished_at:
                self.retired.add(key)
            await self._end(key, track.watch, Phase.RETIRED)

    async def _end(self, key: InstanceKey, watch: Watch | None, phase: Phase) -> None:
        frame, now = self._frame(watch, key), self._now()

        def decide_if_open(known: state.State) -> state.Change | None:
            over = known.phase is Phase.UNWATCHED
            return None if over else state.ended(known, phase, frame, now)

        await self._recorder.insist(str(key), decide_if_open)

    async def _failed(self, track: Track, error: errors.SourceError) -> float | None:
        key = track.watch.key
        log.debug("visit.failed", key=str(key), reason=str(error))
        track.failures += 1
        self._pace.failed(error)
        match error:
            case errors.Missing():
                return await self._missing(track)
            case errors.Forbidden():
                await self._sight.refused(key, str(error))
                return self._rules.limits.cap
            case errors.Garbled(whole_source=False):
                await self._sight.clear(key)
                self._report_unusable(track, error)
            case _:
                await self._sight.failed(error)
                self._report_unseen(track, error)
        # While the source is lost it stays in line: a probe takes who is first.
        return 0.0 if self._sight.lost else self._retry(track)

    async def _missing(self, track: Track) -> float | None:
        await self._sight.clear(track.watch.key)
        now, apart = anyio.current_time(), self._rules.gone_apart
        if not track.missing or now - track.missing_at >= apart:
            track.missing, track.missing_at = track.missing + 1, now
        if track.missing < GONE_AFTER:
            return self._within_limits(track.missing_at + apart - now)

        frame, moment = self._frame(track.watch, track.watch.key), self._now()
        policy = self._policy(track.watch)
        await self._record(
            track, lambda known: state.gone(known, frame, moment, policy=policy)
        )
        # Should it be known again, that is news even if the answer is an old one.
        track.forget()
        return self.agenda.next(track)

    def _retry(self, track: Track) -> float:
        return self._within_limits(backoff.full_jitter(track.failures, self._luck()))

    def _within_limits(self, pause: float) -> float:
        limits = self._rules.limits
        return min(limits.cap, max(pause, limits.floor or 1.0))

    def _report_unusable(self, track: Track, error: errors.SourceError) -> None:
        if track.failures == 1:
            key, ids = str(track.watch.key), error.request_ids
            log.warning("answer.unusable", key=key, reason=str(error), request_ids=ids)

    def _report_unseen(self, track: Track, error: errors.SourceError) -> None:
        """Say who alone cannot be seen: v2 fails for ever on what runs in containers."""
        if track.failures == UNSEEN_AFTER and not self._sight.lost:
            key, ids = str(track.watch.key), error.request_ids
            log.warning("instance.unseen", key=key, reason=str(error), request_ids=ids)

    def _report_unknown(self, snapshot: Snapshot) -> None:
        for kind, code in model.unknown_codes(snapshot) - self._unknown:
            self._unknown.add((kind, code))
            log.warning("code.unknown", source=self._source.name, kind=kind, code=code)

    def frame(self, key: str) -> Frame:
        """Say what the messages about *key* share: instance, scope or source."""
        instance = model.read_key(key)
        if instance is None:
            return wording.frame_of(key, self._rules.locale)
        track = self.tracks.get(instance)
        watch = track.watch if track else self._watch_of(instance)
        return self._frame(watch, instance)

    def _frame(self, watch: Watch | None, key: InstanceKey) -> Frame:
        return Frame(
            source=key.source,
            key=str(key),
            subject=key.subject,
            instance=key,
            labels=watch.labels if watch else {},
            web_url=self._rules.web_url,
            locale=self._rules.locale,
        )


def _renew(track: Track, watch: Watch) -> None:
    if watch.options != track.watch.options:
        # What holds is to be judged anew, even if the answer is an old one.
        track.forget()
    track.watch = watch


T = TypeVar("T")


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """itertools.batched, which Python 3.11 does not have."""
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some
