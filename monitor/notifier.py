"""Tells sinks about alerts: what holds now against what each was last told.

A group is one incident. It is looked at a moment after something about it changed,
so that one message names it all, and again when something that kept it quiet is
over or a reminder is due. What is said and why, or why not, is remembered and put
on its way in one transaction; the dispatchers carry it. Where too many groups have
something to say at once, a sink is told of them together.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from heapq import heappop, heappush
from itertools import islice
from math import inf
from typing import Final, Never

import anyio
import anyio.lowlevel
import structlog
from msgspec import Struct, structs

from monitor import metering
from monitor.composing import Composing
from monitor.core import member, model, reach, routing, state, telling
from monitor.core.decisions import Decision, Verdict
from monitor.core.member import Member
from monitor.core.message import Message
from monitor.core.obstacle import Flapping
from monitor.core.shards import shard
from monitor.core.state import Change, Phase
from monitor.core.telling import Silent, Speak, WhyNot
from monitor.core.wording import Frame
from monitor.deciding import Deciding, Listener, Look, Outcome
from monitor.digesting import Digesting
from monitor.gathering import AT_ONCE, Gathering, slices
from monitor.grouping import Grouping
from monitor.metering import Sample
from monitor.ports import (
    Account,
    Ledger,
    Memory,
    Notice,
    Now,
    Quiet,
    Telling,
    delivery_of,
)
from monitor.storm import Bound, Storm

UNEXPLAINED: Final = 5.0
"""Seconds: a longer wait begins with a look, so that it can be asked why."""

log = structlog.get_logger()


class Habits(Struct, frozen=True, kw_only=True):
    """What holds for every sink and every group."""

    flapping: Flapping = Flapping()
    storm: Bound = Bound()
    group_interval: timedelta = timedelta(0)


class Notifier:
    """*logs* tells of a source whether anybody reads the logs of failed hosts there.

    *quiet* knows what people said about when to be silent, *owns* of which groups is
    told here: what holds is known of all, for any of them may explain another.
    """

    def __init__(
        self,
        ledger: Ledger,
        memory: Memory,
        listeners: Sequence[Listener],
        *,
        grouping: Grouping,
        habits: Habits,
        frame: Callable[[str], Frame],
        lost: Callable[[str], bool],
        logs: Callable[[str], bool],
        posted: Callable[[], None],
        now: Now,
        quiet: Quiet,
        owns: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._ledger = ledger
        self._owns = owns
        self._listeners = listeners
        self._grouping = grouping
        self._deciding = Deciding(grouping, mute=quiet.muting, flapping=habits.flapping)
        self._interval = habits.group_interval.total_seconds()
        self._posted = posted
        self._now = now
        self._quiet = quiet
        self._storms = {
            each.name: Storm(habits.storm) for each in listeners if not each.level
        }
        self._composing = Composing(memory, frame)
        self._gathering = Gathering(
            ledger, memory, grouping, quiet, lost=lost, logs=logs, now=now
        )
        self._digesting = Digesting(
            ledger, self._gathering, self._deciding, self._composing, owns=owns, now=now
        )
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self._spoke_at: dict[str, float] = {}
        self._gists: dict[str, object] = {}
        self._suppressed: Counter[str] = Counter()
        self._inhibited: set[str] = set()
        self._muted: set[str] = set()
        self._expecting: set[str] = set()
        # What was told is read, decided on and written: one after the other.
        self._telling = anyio.Lock()
        # Many are read one part after the other; what is recorded meanwhile is newer.
        self._reading = anyio.Lock()
        self._newer: set[str] = set()
        self._changed = anyio.Event()
        self._joined = anyio.Event()

    def samples(self) -> Iterator[Sample]:
        """Satisfies ``metering.Meter``."""
        yield from metering.suppressed(self._suppressed)

    def changed(self, change: Change) -> None:
        """Something was recorded: look at its groups in a moment."""
        types = {event.type for event in change.events}
        key, ended = change.state.key, change.state.phase is not Phase.WATCHED
        if ended or any(map(_about_alerts, types)):
            self._place(member.of(change.state))
            if self._reading.locked():
                self._newer.add(key)
        if key in self._expecting and not state.wanting(change.state):
            for group in self._grouping.groups_of(key):
                self._plan(group, 0.0)
        if reach.Kind.RESTORED in types:
            self.seen_again()

    def seen_again(self) -> None:
        """A source is in sight again: look at what was withheld meanwhile."""
        self._plan_all(self._inhibited)
        self._inhibited.clear()

    async def changed_elsewhere(self, events: Sequence[Message]) -> None:
        """Another daemon recorded *events*: what holds is known of all."""
        types = {event.type for event in events}
        keys = {event.key for event in events if _about_alerts(event.type)}
        await self.learn(keys)
        if reach.Kind.RESTORED in types:
            self.seen_again()

    async def learn(self, keys: Collection[str]) -> None:
        """Hear what holds for *keys*, as far as it is recorded elsewhere."""
        for known in await self._read(keys):
            if not self._owns(known.key):  # of ours something newer may be known
                self._place(known)

    async def gain(self, gained: frozenset[int]) -> None:
        """Tell of the groups of these shards too."""
        await self._place_anew(gained)
        known = self._grouping.groups() | {*await self._ledger.informed()}
        mine = {group for group in known if shard(group) in gained}
        for group in mine:
            self._gists.pop(group, None)
        self._plan_all(mine)
        self._plan_all(self._quiet.cared_for())
        self.seen_again()  # who owned the source may have said so last

    async def _place_anew(self, gained: frozenset[int]) -> None:
        """Take in what was recorded last by who owned these: nobody told us of it."""
        known = {*self._grouping.placed(), *await self._ledger.alerting()}
        mine = [key for key in known if shard(key) in gained]
        for found in await self._read(mine):
            self._place(found)

    async def _read(self, keys: Collection[str]) -> list[Member]:
        """Read what holds for *keys*, but for those recorded here meanwhile.

        To be placed before anything is awaited: what is read next is newer.
        """
        async with self._reading:
            self._newer.clear()
            found = await self._ledger.members(keys)
            return [known for known in found if known.key not in self._newer]

    async def let_go(self, left: frozenset[int]) -> None:
        """Return once nothing is being told of the groups of these shards."""
        async with self._telling:
            for group in [group for group in self._due if shard(group) in left]:
                del self._due[group]

    def reconsider(self) -> None:
        """Silences or acknowledgements are other than they were: look at everything."""
        self._plan_all(self._grouping.groups() | self._muted)
        self._plan_all(self._quiet.cared_for())

    def joined(self) -> None:
        """Watches may have other labels: see who belongs elsewhere now."""
        self._joined.set()

    def _place(self, known: Member) -> None:
        groups, others = self._grouping.place(known)
        for group, wait in groups.items():
            self._plan(group, self._pause(group, wait.total_seconds()))
        if others:
            self._plan_all(self._muted)

    def _pause(self, group: str, wait: float) -> float:
        spoke_at = self._spoke_at.get(group)
        if spoke_at is not None:
            wait = max(0.0, spoke_at + self._interval - anyio.current_time())
        return 0.0 if wait > UNEXPLAINED else wait

    async def run(self) -> None:
        """Tell until cancelled."""
        await self._take_up()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_labels, name="labels")
            for listener in self._listeners:
                if listener.name in self._storms:
                    tasks.start_soon(self._sum_up, listener, name="storms")
            await self._tell_on()

    async def _take_up(self) -> None:
        """Look at all that holds, and at all that somebody was told to hold."""
        for known in await self._read(await self._ledger.alerting()):
            groups, _ = self._grouping.place(known)
            self._plan_all(groups)
        self._plan_all(await self._ledger.informed())
        self._plan_all(self._quiet.cared_for())

    async def _follow_labels(self) -> Never:
        while True:
            await self._joined.wait()
            self._joined = anyio.Event()
            for some in slices(self._grouping.placed()):
                moved = filter(self._grouping.relabelled, some)
                for known in await self._read([*moved]):
                    self._place(known)
                await anyio.lowlevel.checkpoint()

    async def _tell_on(self) -> Never:
        while True:
            self._changed = anyio.Event()
            await self._tell_due()
            with anyio.CancelScope(deadline=self._heap[0][0] if self._heap else inf):
                await self._changed.wait()

    def _plan_all(self, groups: Collection[str]) -> None:
        for group in groups:
            self._plan(group, 0.0)

    def _plan(self, group: str, delay: float) -> None:
        if not self._owns(group):
            return
        due = anyio.current_time() + delay
        if due < self._due.get(group, inf):
            self._due[group] = due
            heappush(self._heap, (due, group))
            self._changed.set()

    async def _tell_due(self) -> None:
        while groups := list(islice(self._pop_due(), AT_ONCE)):
            async with self._telling:
                mine = [*filter(self._owns, groups)]
                accounts = await self._ledger.accounts(mine)
                async with anyio.create_task_group() as tasks:
                    for group in mine:
                        tasks.start_soon(self._tell, group, accounts[group])

    def _pop_due(self) -> Iterator[str]:
        while self._heap and self._heap[0][0] <= anyio.current_time():
            due, group = heappop(self._heap)
            if self._due.get(group) == due:
                del self._due[group]
                yield group

    async def _tell(self, group: str, account: Account) -> None:
        """Look at one group: gather → decide → apply."""
        # First: logs may come, or the source be seen again, while the state is read.
        self._expecting.add(group)
        self._inhibited.add(group)
        look = await self._gathering.of(group, account)
        self._expecting.discard(group)
        if not look.lost:
            self._inhibited.discard(group)
        outcomes = [
            self._admitted(look, outcome)
            for listener in self._listeners
            if (outcome := self._deciding.decide(listener, look)) is not None
        ]
        await self._apply(look, outcomes, await self._written(look, outcomes))

    def _admitted(self, look: Look, outcome: Outcome) -> Outcome:
        storm = self._storms.get(outcome.listener.name)
        if storm is None or isinstance(outcome.decision, Silent):
            return outcome
        if not _about_instances(look.group) or storm.admits(look.group):
            return outcome
        why = "too much happens at once; it is told with the others"
        return structs.replace(
            outcome,
            decision=Silent(WhyNot.STORM, why),
            told=look.account.told.get(outcome.listener.name),
            record=structs.replace(
                outcome.record, reason=str(WhyNot.STORM), detail=why
            ),
            again=None,
        )

    async def _written(
        self, look: Look, outcomes: Sequence[Outcome]
    ) -> dict[Speak, Message]:
        """Write what is said; sinks that are told the same share a message."""
        written: dict[Speak, Message] = {}
        for outcome in outcomes:
            speak = outcome.decision
            if isinstance(speak, Speak) and speak not in written:
                written[speak] = await self._composing.message(
                    look.group,
                    speak,
                    number=look.account.notifications + len(written) + 1,
                    sequence=look.sequence,
                    now=look.now,
                    known=look.known,
                )
        return written

    async def _apply(
        self, look: Look, outcomes: Sequence[Outcome], written: Mapping[Speak, Message]
    ) -> None:
        tellings = [
            t for outcome in outcomes if (t := _telling(look, outcome, written))
        ]
        verdict = self._verdict(look, outcomes, written)
        if tellings or verdict:
            notice = Notice(
                group=look.group,
                number=look.account.notifications + len(written),
                tellings=tellings,
                verdict=verdict,
            )
            await self._ledger.tell([notice])
        if look.acked and not look.holds:
            await self._quiet.over(look.group)
        if written:
            self._spoke_at[look.group] = anyio.current_time()
            self._posted()
        self._grouping.told(look.group, _told_of(look.group, outcomes))
        self._plan_next(look, outcomes)

    def _verdict(
        self,
        look: Look,
        outcomes: Sequence[Outcome],
        written: Mapping[Speak, Message],
    ) -> Verdict | None:
        """Say what was decided and why, unless that is what was decided before."""
        verdict = Verdict(
            group=look.group,
            at=look.now,
            sequence=look.sequence,
            decisions=tuple(_recorded(outcome, written) for outcome in outcomes),
        )
        if self._gists.get(look.group, ()) == verdict.gist:
            return None
        self._gists[look.group] = verdict.gist
        for decision in verdict.decisions:
            if not decision.notification:
                self._suppressed[decision.reason] += 1
                log.debug(
                    "telling.withheld",
                    group=look.group,
                    sink=decision.sink,
                    reason=decision.reason,
                )
        return verdict

    def _plan_next(self, look: Look, outcomes: Sequence[Outcome]) -> None:
        group = look.group
        if any(outcome.muted for outcome in outcomes):
            self._muted.add(group)
        else:
            self._muted.discard(group)
        if look.lost:
            return  # it is looked at when its source is seen again
        if any(_waits_for_logs(outcome) for outcome in outcomes):
            self._expecting.add(group)
        again = [o.again for o in outcomes if o.again is not None]
        if again:
            self._plan(group, max(0.0, (min(again) - look.now).total_seconds()))
        if not any(outcome.told and outcome.told.alerts for outcome in outcomes):
            self._spoke_at.pop(group, None)
        if not outcomes:
            self._gists.pop(group, None)

    async def _sum_up(self, listener: Listener) -> Never:
        """Tell a sink of those together that were too many to be told one by one."""
        storm = self._storms[listener.name]
        while True:
            groups = await storm.over()
            async with self._telling:
                mine = [*filter(self._owns, groups)]
                told_of = await self._digesting.tell(listener, mine)
                storm.told(groups)
            for group in told_of:
                self._gists.pop(group, None)
            if told_of:
                self._posted()
            self._plan_all(groups)


def _about_alerts(type_: str) -> bool:
    return type_.startswith("bkjob.alert.")


def _about_instances(group: str) -> bool:
    return routing.is_several(group) or model.read_key(group) is not None


def _told_of(group: str, outcomes: Sequence[Outcome]) -> set[str]:
    known = (outcome.told.alerts for outcome in outcomes if outcome.told)
    return {telling.key_of(group, id_) for alerts in known for id_ in alerts}


def _telling(
    look: Look, outcome: Outcome, written: Mapping[Speak, Message]
) -> Telling | None:
    sink = outcome.listener.name
    if isinstance(outcome.decision, Speak):
        delivery = delivery_of(sink, written[outcome.decision], look.now)
        return Telling(sink=sink, told=outcome.told, delivery=delivery)
    if outcome.told == look.account.told.get(sink):
        return None
    return Telling(sink=sink, told=outcome.told)


def _recorded(outcome: Outcome, written: Mapping[Speak, Message]) -> Decision:
    if isinstance(outcome.decision, Speak):
        id_ = written[outcome.decision].id
        return structs.replace(outcome.record, notification=id_)
    return outcome.record


def _waits_for_logs(outcome: Outcome) -> bool:
    return outcome.decision.reason is WhyNot.WAITING_FOR_LOGS
