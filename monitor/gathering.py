"""Gathers what must be known of a group before anything is decided about it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from msgspec import structs

from monitor.core import member, routing, state, telling
from monitor.core.member import Member
from monitor.deciding import Look
from monitor.grouping import Grouping
from monitor.ports import Account, Ledger, Memory, Now, Quiet

AT_ONCE: Final = 100
"""Groups looked at together, so that they share commits."""

T = TypeVar("T")


class Gathering:
    """*lost* tells of a source whether it is out of sight, *logs* whether logs are read."""

    def __init__(
        self,
        ledger: Ledger,
        memory: Memory,
        grouping: Grouping,
        quiet: Quiet,
        *,
        lost: Callable[[str], bool],
        logs: Callable[[str], bool],
        now: Now,
    ) -> None:
        self._ledger = ledger
        self._memory = memory
        self._grouping = grouping
        self._quiet = quiet
        self._lost = lost
        self._logs = logs
        self._now = now
        self._since = now()

    async def of(self, group: str, account: Account) -> Look:
        logs = self._logs(group.partition("/")[0])
        if routing.is_several(group):
            keys = self._keys(group, account)
            found = await self._ledger.members(keys)
            look = self._look(group, account, found)
            return structs.replace(look, awaited=None if logs else frozenset())
        known = await self._memory.load(group)
        wanted = state.wanting(known) if logs else ()
        return structs.replace(
            self._look(group, account, [member.of(known)]),
            known=known,
            awaited=frozenset(each.step_instance_id for each in wanted),
        )

    async def of_many(self, groups: Sequence[str]) -> list[Look]:
        """Gather what a message about all of them needs: it waits for no log."""
        accounts = await self._ledger.accounts(groups)
        keys = {group: self._keys(group, accounts[group]) for group in groups}
        every = {key for some in keys.values() for key in some}
        found = {each.key: each for each in await self._ledger.members(every)}
        return [
            self._look(
                group,
                accounts[group],
                [found[key] for key in keys[group] if key in found],
            )
            for group in groups
        ]

    def _keys(self, group: str, account: Account) -> set[str]:
        told = (id_ for each in account.told.values() for id_ in each.alerts)
        known = {telling.key_of(group, id_) for id_ in told}
        return known | self._grouping.members(group)

    def _look(self, group: str, account: Account, found: Sequence[Member]) -> Look:
        source, now = group.partition("/")[0], self._now()
        return Look(
            group=group,
            members={each.key: each for each in found},
            account=account,
            now=now,
            since=self._since,
            lost=group != source and self._lost(source),
            acked=self._quiet.acked(group, now),
        )


def slices(many: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(many), AT_ONCE):
        yield many[start : start + AT_ONCE]
