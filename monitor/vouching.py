"""What a list that speaks for many instances may do with their visits.

It puts off visits, brings them back, and moves one to the front; never a state.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from monitor.agenda import Agenda
from monitor.core import asking
from monitor.core.model import InstanceKey
from monitor.core.sweeping import Standing
from monitor.ports import Luck
from monitor.tracks import Plan, Track, Tracks


class Vouching:
    """Satisfies ``sweep.Swept``; *cap* is the longest interval, in seconds."""

    def __init__(
        self, tracks: Tracks, plan: Plan, agenda: Agenda, *, cap: float, luck: Luck
    ) -> None:
        self._tracks = tracks
        self._plan = plan
        self._agenda = agenda
        self._cap = cap
        self._luck = luck

    def scopes(self) -> Iterable[str]:
        return self._tracks.scopes()

    def tracked(self, scope: str) -> Iterator[Standing]:
        """List whom a list can speak for: who was seen, and of whom nobody waits.

        An end is confirmed by a visit before anybody else may speak for it, and a
        job between two steps is about to change in a way that no list shows.
        """
        now = self._agenda.now()
        for key, track in self._tracks.of(scope):
            standing = self._standing(key, track, now)
            if standing is not None:
                yield standing

    def standing(self, key: InstanceKey) -> Standing | None:
        """Say the same of *key* alone; None: no list can speak for it."""
        track = self._tracks.get(key)
        return self._standing(key, track, self._agenda.now()) if track else None

    def _standing(
        self, key: InstanceKey, track: Track, now: datetime
    ) -> Standing | None:
        if track.outline is None or track.created_at is None or track.missing:
            return None
        if track.paused:
            return None
        ended = track.finished_at is not None
        if (ended and not track.confirmed) or asking.between_steps(track.outline):
            return None
        return Standing(
            key=key,
            status=track.outline.status,
            created_at=track.created_at,
            seen_at=track.seen_at,
            interval=self._cap if ended else self._agenda.interval(track, now),
        )

    def vouch(self, keys: Collection[InstanceKey], at: datetime) -> None:
        """Visit *keys* rarely: whatever happens to them, a list tells.

        It says so again and again: should it fall silent, they are visited.
        """
        for key in keys:
            track = self._tracks.get(key)
            if track is None or track.hurried or track.failures:
                continue
            track.vouched = True
            pause = self._agenda.next(track)
            # What is due by now stays so, however late the visit is.
            if pause is not None and pause > 1.0:
                self._plan.put_off(key, pause)

    def unvouch(self, keys: Collection[InstanceKey]) -> None:
        """Visit *keys* as ever, spread over the longest interval."""
        for key in keys:
            track = self._tracks.get(key)
            if track is not None and track.vouched:
                track.vouched = False
                self._plan.plan(key, self._luck() * self._cap)

    def hint(self, key: InstanceKey, *, finished: bool) -> None:
        """Visit *key* next, with its hosts: something has moved."""
        self._tracks.hint(key, moved=True)
