"""Tells a sink in one message of many groups that were too much to be told one by one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import structlog
from msgspec import Struct, structs

from monitor import composing, gathering
from monitor.composing import Composing, Spoken
from monitor.core import decisions
from monitor.core.decisions import CaseDecision, Decision, Verdict
from monitor.core.message import Message
from monitor.core.telling import Speak, Why
from monitor.deciding import Deciding, Listener, Look, Outcome
from monitor.gathering import Gathering
from monitor.ports import Ledger, Notice, Now, Telling, delivery_of

NAMES: Final = 10_000
"""Of which one is a daemon's that owns any shard, but for very bad luck."""

log = structlog.get_logger()


class _Said(Struct, frozen=True):
    look: Look
    outcome: Outcome
    spoken: Spoken


class Digesting:
    def __init__(
        self,
        ledger: Ledger,
        gathering: Gathering,
        deciding: Deciding,
        composing: Composing,
        *,
        owns: Callable[[str], bool],
        now: Now,
    ) -> None:
        self._owns = owns
        self._ledger = ledger
        self._gathering = gathering
        self._deciding = deciding
        self._composing = composing
        self._now = now

    async def tell(self, listener: Listener, groups: Sequence[str]) -> list[str]:
        """Put on its way what is to be said of *groups*; name those that it tells of."""
        by_source: dict[str, list[_Said]] = {}
        for some in gathering.slices(groups):
            for said in self._to_say(listener, await self._gathering.of_many(some)):
                source = said.look.group.partition("/")[0]
                by_source.setdefault(source, []).append(said)
        for source, said_there in by_source.items():
            await self._tell_together(source, said_there)
        return [said.look.group for some in by_source.values() for said in some]

    def _group(self, source: str) -> str:
        """Name what it is told under: another name on each of several daemons."""
        names = (composing.storm_of(source, number) for number in range(NAMES))
        return next(filter(self._owns, names), composing.storm_of(source, 0))

    def _to_say(self, listener: Listener, looks: Iterable[Look]) -> Iterator[_Said]:
        for look in looks:
            outcome = self._deciding.decide(listener, look)
            if outcome is not None and isinstance(outcome.decision, Speak):
                yield _Said(look, outcome, Spoken(look.group, outcome.decision))

    async def _tell_together(self, source: str, said: Sequence[_Said]) -> None:
        """Tell of many in one message.

        It is on its way before the last of them is remembered as told: after a crash
        in between some may be told again, none is forgotten.
        """
        one = composing.summed_up(self._group(source), [each.spoken for each in said])
        accounts, now = await self._ledger.accounts([one.group]), self._now()
        number = accounts[one.group].notifications + 1
        message = await self._composing.message(
            one.group, one.speak, number=number, sequence=0, now=now
        )
        sink = said[0].outcome.listener.name
        delivery = delivery_of(sink, message, now)
        digest = Notice(
            group=one.group,
            number=number,
            tellings=[Telling(sink=sink, told=None, delivery=delivery)],
            verdict=_digested(sink, message, [each.look.group for each in said]),
        )
        notices = [digest, *(_covered(each, message) for each in said)]
        for some in gathering.slices(notices):
            await self._ledger.tell(some)
        log.info("telling.storm", sink=sink, id=message.id, incidents=len(said))


def _covered(said: _Said, message: Message) -> Notice:
    """Remember that a group was told of in a message about many."""
    look, outcome = said.look, said.outcome
    record = structs.replace(
        outcome.record, reason=str(Why.STORM), notification=message.id
    )
    return Notice(
        group=look.group,
        number=look.account.notifications,
        tellings=[Telling(sink=outcome.listener.name, told=outcome.told)],
        verdict=Verdict(
            group=look.group,
            at=message.time,
            sequence=look.sequence,
            decisions=(record,),
        ),
    )


def _digested(sink: str, message: Message, groups: Sequence[str]) -> Verdict:
    """Say of a message about many of which it tells."""
    kept = groups[: decisions.CASES]
    decision = Decision(
        sink=sink,
        reason=str(Why.STORM),
        detail=f"{len(groups):,} incidents",
        notification=message.id,
        cases=tuple(CaseDecision(group) for group in kept),
        omitted=len(groups) - len(kept),
    )
    return Verdict(group=message.key, at=message.time, decisions=(decision,))
