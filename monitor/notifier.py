"""Tells sinks about alerts: what holds now against what each was last told.

One group (an instance, a scope, a source) is one incident. A group is looked at a
moment after something about it changed, so that one message names it all, when
logs that the first message waits for have come, and when a reminder is due. What
is said is remembered and put on its way in one transaction; the dispatchers carry
it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import islice
from math import inf
from typing import Final, Never

import anyio
import structlog
from msgspec import Struct

from monitor.core import message, notifications, reach, state, telling, wording
from monitor.core.alerts import Alert
from monitor.core.message import Message
from monitor.core.state import Change, Phase
from monitor.core.telling import Silent, Speak, WhyNot
from monitor.core.wording import Frame
from monitor.ports import Account, Delivery, Ledger, Now, Telling

AT_ONCE: Final = 100
"""Groups looked at together, so that they share commits."""

log = structlog.get_logger()


class Listener(Struct, frozen=True):
    """A sink that takes notifications; *wants* looks at the traits of an alert."""

    name: str
    wants: Callable[[Mapping[str, str]], bool]


class Pauses(Struct, frozen=True, kw_only=True):
    """How long a group waits before its first message, and between messages."""

    group_wait: timedelta = timedelta(seconds=1)
    group_interval: timedelta = timedelta(seconds=1)


class Notifier:
    """*logs* tells of a source whether anybody reads the logs of failed hosts there."""

    def __init__(
        self,
        ledger: Ledger,
        listeners: Sequence[Listener],
        *,
        rules: telling.Rules,
        pauses: Pauses,
        frame: Callable[[str], Frame],
        lost: Callable[[str], bool],
        logs: Callable[[str], bool],
        posted: Callable[[], None],
        now: Now,
    ) -> None:
        self._ledger = ledger
        self._listeners = listeners
        self._rules = rules
        self._pauses = pauses
        self._frame = frame
        self._lost = lost
        self._logs = logs
        self._posted = posted
        self._now = now
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._spoke_at: dict[str, float] = {}
        self._inhibited: set[str] = set()
        self._expecting: set[str] = set()
        self._changed = anyio.Event()

    def changed(self, change: Change) -> None:
        """Something was recorded: look at its group in a moment."""
        types = {event.type for event in change.events}
        ended = change.state.phase is not Phase.WATCHED
        if ended or any(type_.startswith("bkjob.alert.") for type_ in types):
            self._plan(change.state.key, self._pause(change.state.key))
        if change.state.key in self._expecting and not state.wanting(change.state):
            self._plan(change.state.key, 0.0)
        if reach.Kind.RESTORED in types:
            for key in self._inhibited:
                self._plan(key, 0.0)
            self._inhibited.clear()

    def _pause(self, key: str) -> float:
        spoke_at = self._spoke_at.get(key)
        if spoke_at is None:
            return self._pauses.group_wait.total_seconds()
        again = spoke_at + self._pauses.group_interval.total_seconds()
        return max(0.0, again - anyio.current_time())

    async def run(self) -> Never:
        """Tell until cancelled."""
        for key in await self._ledger.alerting():
            self._plan(key, 0.0)
        while True:
            self._changed = anyio.Event()
            await self._tell_due()
            with anyio.CancelScope(deadline=self._heap[0][0] if self._heap else inf):
                await self._changed.wait()

    def _plan(self, key: str, delay: float) -> None:
        due = anyio.current_time() + delay
        if due < self._due.get(key, inf):
            self._due[key] = due
            heappush(self._heap, (due, key))
            self._changed.set()

    async def _tell_due(self) -> None:
        while keys := list(islice(self._pop_due(), AT_ONCE)):
            async with anyio.create_task_group() as tasks:
                for key in keys:
                    tasks.start_soon(self._tell, key)

    def _pop_due(self) -> Iterator[str]:
        while self._heap and self._heap[0][0] <= anyio.current_time():
            due, key = heappop(self._heap)
            if self._due.get(key) == due:
                del self._due[key]
                yield key

    async def _tell(self, key: str) -> None:
        """Look at one group: gather → decide → apply."""
        self._expecting.add(key)  # first: logs may come while the account is read
        account, now = await self._ledger.account(key), self._now()
        self._expecting.discard(key)
        frame = self._frame(key)
        post = _Post(frame, account, now, logs=self._logs(frame.source))
        tellings = [
            made
            for listener in self._listeners
            if (made := self._consider(listener, post)) is not None
        ]
        if tellings:
            number = account.notifications + len(post.written)
            await self._ledger.tell(key, number, tellings)
        if post.written:
            self._spoke_at[key] = anyio.current_time()
            self._posted()
        self._plan_reminder(key, account, tellings, now)

    def _consider(self, listener: Listener, post: "_Post") -> Telling | None:
        told = post.account.told.get(listener.name)
        if post.account.state.phase is not Phase.WATCHED:
            # Nobody is told that a watch ended; should it come back, all is news.
            return Telling(sink=listener.name, told=None) if told else None

        # What was told is followed to its end: another severity is no recovery.
        heard = told.alerts if told else telling.NEVER_TOLD
        holding = [
            alert
            for alert in post.account.state.alerts.values()
            if alert.id in heard or post.wanted(alert, listener)
        ]
        decision = telling.decide(
            holding,
            told,
            post.now,
            self._rules,
            inhibited=self._held_back(post.frame),
            awaited=post.awaited,
        )
        if isinstance(decision, Speak):
            return post.speak(listener, decision)
        self._keep_silent(listener, post, decision)
        trimmed = telling.still_held(told, holding)
        if decision.reason is WhyNot.INHIBITED or trimmed == told:
            return None
        return Telling(sink=listener.name, told=trimmed)

    def _held_back(self, frame: Frame) -> bool:
        return frame.key != frame.source and self._lost(frame.source)

    def _keep_silent(self, listener: Listener, post: "_Post", decision: Silent) -> None:
        key = post.frame.key
        if decision.reason is WhyNot.INHIBITED:
            self._inhibited.add(key)
        if decision.until is not None:
            self._expecting.add(key)
            self._plan(key, (decision.until - post.now).total_seconds())
        log.debug(
            "telling.withheld",
            group=key,
            sink=listener.name,
            reason=decision.reason,
        )

    def _plan_reminder(
        self,
        key: str,
        account: Account,
        tellings: Sequence[Telling],
        now: datetime,
    ) -> None:
        if key in self._inhibited:  # it is looked at when its source is seen again
            return
        told = {**account.told, **{t.sink: t.told for t in tellings}}
        firing = [heard.at for heard in told.values() if heard and heard.alerts]
        if firing:
            again = min(firing) + self._rules.repeat_interval
            self._plan(key, max(1.0, (again - now).total_seconds()))
        else:
            self._spoke_at.pop(key, None)


class _Post:
    """The messages that one look at a group gives rise to; sinks share them."""

    def __init__(
        self, frame: Frame, account: Account, now: datetime, *, logs: bool
    ) -> None:
        self.frame = frame
        self.account = account
        self.now = now
        wanted = state.wanting(account.state) if logs else ()
        self.awaited = frozenset(each.step_instance_id for each in wanted)
        self.written: dict[Speak, Message] = {}

    def wanted(self, alert: Alert, listener: Listener) -> bool:
        traits = wording.traits(self.frame, message.NOTIFICATION, alert.severity)
        return listener.wants({**traits, "alert": alert.name})

    def speak(self, listener: Listener, decision: Speak) -> Telling:
        if decision not in self.written:
            self.written[decision] = self._write(decision)
        seconds = self.now.timestamp()
        delivery = Delivery(
            sink=listener.name,
            message=self.written[decision],
            due=seconds,
            since=seconds,
        )
        told = telling.hearing(decision.alerts, self.now)
        return Telling(sink=listener.name, told=told, delivery=delivery)

    def _write(self, decision: Speak) -> Message:
        return notifications.build(
            self.frame,
            self.account.state.snapshot,
            decision,
            number=self.account.notifications + len(self.written) + 1,
            last_sequence=self.account.state.sequence,
            now=self.now,
            tails=self.account.state.tails,
        )
