from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from monitor import errors
from monitor.core.discovery import Rule
from monitor.core.model import InstanceKey
from monitor.core.state import Change, Phase, State
from monitor.core.watch import Options, Place, Severity, Watch
from monitor.discovery import Discovery
from monitor.ports import Found, Means
from monitor.store.sql import SqlStore
from tests.support import clock, stores
from tests.support.answers import a_key, a_watch
from tests.support.budget import FreeBudget
from tests.support.rows import ListingSource, a_row

pytestmark = pytest.mark.looptime


def a_rule(scope: str = "2", *, line: int = 3, **said: Any) -> Rule:
    place = Place("list.yaml", line, 5)
    return Rule(source="prod", scope_type="biz", scope_id=scope, place=place, **said)


class CountingRegister:
    """The real register; *added* and *dropped* are what was written, *read* what was read.

    While *busy* is there, what is asked of it takes until that is set.
    """

    def __init__(self, store: SqlStore) -> None:
        self._store = store
        self.busy: anyio.Event | None = None
        self.added: list[int] = []
        self.dropped: list[int] = []
        self.read: list[list[int]] = []

    async def found(self, source: str, after: int) -> Found:
        found = await self._store.found(source, after)
        self.read.append([watch.key.job_instance_id for watch in found.watches])
        return found

    async def keys(self, source: str) -> list[InstanceKey]:
        return await self._store.keys(source)

    async def add(self, watches: Sequence[Watch]) -> None:
        if self.busy is not None and watches:
            await self.busy.wait()
        self.added += [watch.key.job_instance_id for watch in watches]
        await self._store.add(watches)

    async def drop(self, keys: Sequence[InstanceKey]) -> None:
        self.dropped += [key.job_instance_id for key in keys]
        await self._store.drop(keys)

    async def over(self, source: str) -> list[InstanceKey]:
        if self.busy is not None:
            await self.busy.wait()
        return await self._store.over(source)


class Finding:
    """*seen* is which instances were found, each time that this changed.

    While it is *ours*, nobody else asks.
    """

    def __init__(
        self, source: ListingSource, store: SqlStore, *, shared: bool = False
    ) -> None:
        self._store = store
        self.seen: list[tuple[float, list[int]]] = []
        self.ours = True
        self.budget = FreeBudget()
        self.register = CountingRegister(store)
        self.discovery = Discovery(
            source,
            self.budget,
            self.register,
            changed=self._changed,
            now=clock.now,
            luck=clock.middling,
            ours=lambda: self.ours,
            shared=shared,
        )

    async def visited_elsewhere(self, key: InstanceKey, *, over: bool) -> None:
        phase = Phase.RETIRED if over else Phase.WATCHED
        state = State(key=str(key), version=1, sequence=0, phase=phase)
        assert await self._store.commit(Change(state=state, events=()))

    @property
    def numbers(self) -> list[int]:
        return sorted(key.job_instance_id for key in self.discovery.watches())

    def watch(self, number: int) -> Watch:
        return self.discovery.watches()[a_key(number)]

    async def _changed(self) -> None:
        self.seen.append((round(anyio.current_time(), 1), self.numbers))


@asynccontextmanager
async def finding(
    source: ListingSource, directory: Path, *rules: Rule, shared: bool = False
) -> AsyncIterator[Finding]:
    """Look for what *rules* say for as long as the block lasts."""
    async with stores.opened(directory) as store:
        all_of_it = Finding(source, store, shared=shared)
        await all_of_it.discovery.follow(rules)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(all_of_it.discovery.run)
            yield all_of_it
            tasks.cancel_scope.cancel()


async def test_what_a_rule_looks_for_is_found_and_told_once(tmp_path: Path) -> None:
    source = ListingSource(a_row(1), a_row(2, name="backup"), a_row(3, scope="9"))
    async with finding(source, tmp_path, a_rule(name="dep*")) as found:
        await anyio.sleep(100)

        assert found.seen == [(0.0, [1])]
        assert source.page_times == [0, 30, 60, 90]
        assert found.budget.turns == 4
        assert (found.discovery.pages, found.discovery.found) == (4, 1)


async def test_what_people_start_later_is_found_at_the_rules_cadence(
    tmp_path: Path,
) -> None:
    source = ListingSource()
    async with finding(source, tmp_path, a_rule(every=timedelta(seconds=10))) as found:
        await anyio.sleep(15)
        source.put(a_row(1, ago=-12))
        await anyio.sleep(6)

        assert found.seen == [(20.0, [1])]


async def test_a_list_of_many_pages_is_read_to_its_end_once(tmp_path: Path) -> None:
    rows = [a_row(n, ago=float(n)) for n in range(1, 2_001)]
    async with finding(ListingSource(*rows), tmp_path, a_rule()) as found:
        await anyio.sleep(29)
        pages = found.discovery.pages
        await anyio.sleep(30)

        assert found.numbers == [*range(1, 2_001)]
        assert pages == 11
        # What was created in the last five minutes may have appeared late.
        assert found.discovery.pages - pages == 2
        assert sorted(found.register.added) == [*range(1, 2_001)]


async def test_a_long_list_delays_other_rules_by_one_page(tmp_path: Path) -> None:
    rows = [a_row(n, ago=float(n)) for n in range(1, 2_001)]
    source = ListingSource(*rows, a_row(5_000, scope="9"))
    source.latency = 1.0
    async with finding(source, tmp_path, a_rule(), a_rule("9")) as found:
        await anyio.sleep(2.5)

        assert a_key(5_000, scope="9") in found.discovery.watches()


async def test_a_watch_says_what_its_rule_says(tmp_path: Path) -> None:
    rule = a_rule(labels={"job": "{name}"}, options=Options(severity=Severity.CRITICAL))
    async with finding(ListingSource(a_row(1)), tmp_path, rule) as found:
        await anyio.sleep(1)

        assert found.watch(1) == Watch(
            key=a_key(1),
            labels={"job": "deploy"},
            options=Options(severity=Severity.CRITICAL),
            place=Place("list.yaml", 3, 5),
            rule="prod/biz/2",
        )


async def test_of_two_rules_that_match_the_first_to_find_it_has_it(
    tmp_path: Path,
) -> None:
    rules = (a_rule(name="dep*", labels={"a": "1"}), a_rule(labels={"a": "2"}))
    async with finding(ListingSource(a_row(1)), tmp_path, *rules) as found:
        await anyio.sleep(100)

        assert found.watch(1).labels == {"a": "1"}
        assert found.register.added == [1]


async def test_a_restart_sees_through_what_was_found(tmp_path: Path) -> None:
    async with finding(ListingSource(a_row(1), a_row(2)), tmp_path, a_rule()) as found:
        await anyio.sleep(1)

    source = ListingSource(a_row(2), a_row(3))
    async with finding(source, tmp_path, a_rule()) as found:
        assert found.numbers == [1, 2]
        await anyio.sleep(1)

        assert found.numbers == [1, 2, 3]
        assert found.register.added == [3]


async def test_a_removed_rule_ends_its_watches(tmp_path: Path) -> None:
    rules = (a_rule(), a_rule("9"))
    source = ListingSource(a_row(1), a_row(2, scope="9"))
    async with finding(source, tmp_path, *rules) as found:
        await anyio.sleep(1)
        await found.discovery.follow(rules[1:])
        await anyio.sleep(100)

        assert found.numbers == [2]
        assert found.register.dropped == [1]


async def test_a_rule_removed_while_nobody_ran_ends_its_watches_too(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1))
    async with finding(source, tmp_path, a_rule()):
        await anyio.sleep(1)

    async with finding(source, tmp_path) as found:
        assert found.numbers == []
        assert found.register.dropped == [1]


async def test_a_rule_that_is_rewritten_keeps_what_it_still_looks_for(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1), a_row(2, name="backup"))
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(1)
        await found.discovery.follow([a_rule(name="dep*", labels={"a": "b"})])

        assert found.numbers == [1]
        assert found.watch(1).labels == {"a": "b"}
        assert found.watch(1).rule == "prod/biz/2 name=dep*"
        assert found.register.dropped == [2]


async def test_what_a_rule_says_anew_holds_for_what_it_found(tmp_path: Path) -> None:
    source = ListingSource(a_row(1, name="x"))
    async with finding(source, tmp_path, a_rule(labels={"job": "{name}"})):
        await anyio.sleep(1)

    source.rows.clear()
    changed = a_rule(labels={"job": "{name}", "team": "sre"}, line=9)
    async with finding(source, tmp_path, changed) as found:
        assert found.watch(1).labels == {"job": "x", "team": "sre"}
        assert found.watch(1).place.line == 9
        assert found.register.added == [1]


async def test_a_rule_that_only_moved_costs_no_writing(tmp_path: Path) -> None:
    async with finding(ListingSource(a_row(1)), tmp_path, a_rule()) as found:
        await anyio.sleep(1)
        await found.discovery.follow([a_rule(line=9)])
        await anyio.sleep(60)

        assert found.watch(1).place.line == 9
        assert found.register.added == [1]


async def test_a_rule_with_a_longer_age_looks_further_back(tmp_path: Path) -> None:
    source = ListingSource(a_row(1), a_row(2, ago=7_200))
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(1)
        await found.discovery.follow([a_rule(age=timedelta(hours=3))])
        await anyio.sleep(30)

        assert found.numbers == [1, 2]


async def test_what_is_over_is_dropped_once_no_list_shows_it(tmp_path: Path) -> None:
    source = ListingSource(a_row(1), a_row(2))
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(1)
        found.discovery.ended([a_key(1), a_key(77)])
        await anyio.sleep(3_540)
        assert found.numbers == [1, 2]

        await anyio.sleep(400)

        assert found.numbers == [2]
        assert found.register.dropped == [1]
        assert found.register.added == [1, 2]
        assert found.seen[-1][1] == [2]


async def test_what_was_over_before_a_restart_is_dropped_after_one_round(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1))
    async with finding(source, tmp_path, a_rule()):
        await anyio.sleep(1)

    source.rows.clear()
    async with finding(source, tmp_path, a_rule()) as found:
        found.discovery.ended([a_key(1)])
        assert found.numbers == [1]
        await anyio.sleep(1)

        assert found.numbers == []


async def test_a_rule_by_status_finds_what_gets_that_status_later(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1, ago=3_000), a_row(2, ago=1))
    rule = a_rule(statuses=frozenset({4}))
    async with finding(source, tmp_path, rule) as found:
        await anyio.sleep(45)
        source.becomes(1, 4, ended_at=clock.now())
        await anyio.sleep(30)
        source.becomes(1, 2, ended_at=clock.now())
        await anyio.sleep(60)

        assert found.seen == [(60.0, [1])]


async def test_no_rule_holds_more_than_its_bound(tmp_path: Path) -> None:
    source = ListingSource(*(a_row(n, ago=float(n)) for n in range(1, 6)))
    with capture_logs() as logs:
        async with finding(source, tmp_path, a_rule(most=3)) as found:
            await anyio.sleep(100)
            assert found.numbers == [1, 2, 3]

            await found.discovery.follow([a_rule(most=9)])
            await anyio.sleep(30)
            assert found.numbers == [1, 2, 3, 4, 5]

    assert [
        entry["left_out"] for entry in logs if entry["event"] == "discovery.full"
    ] == [2]


async def test_an_outage_is_one_line_and_its_end_another(tmp_path: Path) -> None:
    source = ListingSource(a_row(1))
    source.trouble = errors.Unavailable("502")
    with capture_logs() as logs:
        async with finding(source, tmp_path, a_rule()) as found:
            await anyio.sleep(300)
            tries = len(source.queries)
            source.trouble = None
            await anyio.sleep(60)

            assert found.numbers == [1]
            assert len(found.budget.failures) == tries

    assert 9 < tries < 20
    assert [entry["event"] for entry in logs] == [
        "discovery.failing",
        "discovery.works_again",
    ]


async def test_an_outage_in_the_middle_of_a_list_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    rows = [a_row(n, ago=float(n)) for n in range(1, 401)]
    source = ListingSource(*rows)
    source.latency = 1.0
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(1.5)
        source.trouble = errors.Unavailable("502")
        await anyio.sleep(1)
        source.trouble = None
        await anyio.sleep(5)

        assert found.numbers == [*range(1, 401)]
        untils = [query.until for _, query in source.queries]
        assert untils.count(max(untils)) == 1


async def test_a_page_that_never_comes_does_not_hide_what_is_new(
    tmp_path: Path,
) -> None:
    class Broken(ListingSource):
        async def page(self, query: Any) -> Any:
            if query.until < clock.MORNING:
                raise errors.Garbled("a row without a key")
            return await super().page(query)

    source = Broken(*(a_row(n, ago=float(n)) for n in range(1, 401)))
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(60)
        source.put(a_row(1_000, ago=-59))
        await anyio.sleep(60)

        assert 1_000 in found.numbers


async def test_a_scope_that_job_refuses_is_asked_for_rarely(tmp_path: Path) -> None:
    source = ListingSource()
    source.trouble = errors.Forbidden("9900403")
    async with finding(source, tmp_path, a_rule()):
        await anyio.sleep(900)

        assert source.page_times == [0, 300, 600]


async def test_a_machine_of_job_that_is_ahead_hides_nothing(tmp_path: Path) -> None:
    source = ListingSource(a_row(1, ago=-3_600))
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(10)
        source.put(a_row(2, ago=-10))
        await anyio.sleep(30)

        assert found.numbers == [1, 2]


async def test_an_api_without_a_list_is_warned_of_and_never_asked(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1))
    source.means = Means()
    with capture_logs() as logs:
        async with finding(source, tmp_path, a_rule()) as found:
            await anyio.sleep(100)
            await found.discovery.follow([a_rule()])

            assert source.queries == []

    assert [(entry["event"], entry["rule"]) for entry in logs] == [
        ("discovery.impossible", "prod/biz/2")
    ]


async def test_a_rule_whose_last_day_is_over_is_not_asked(tmp_path: Path) -> None:
    until = clock.MORNING + timedelta(seconds=45)
    source = ListingSource()
    async with finding(source, tmp_path, a_rule(options=Options(until=until))):
        await anyio.sleep(300)

        assert source.page_times == [0, 30]


async def test_rules_of_other_sources_are_not_ours(tmp_path: Path) -> None:
    other = Rule(source="stag", scope_type="biz", scope_id="2", place=Place("x"))
    source = ListingSource(a_row(1))
    async with finding(source, tmp_path, other):
        await anyio.sleep(100)

        assert source.queries == []


async def test_what_is_left_out_is_counted_once_however_often_it_is_read(
    tmp_path: Path,
) -> None:
    source = ListingSource(*(a_row(n, ago=60.0 + n // 3) for n in range(1, 2_501)))
    with capture_logs() as logs:
        async with finding(source, tmp_path, a_rule(most=10)):
            await anyio.sleep(10)

    full = [line["left_out"] for line in logs if line["event"] == "discovery.full"]
    assert full == [2_490]


async def test_what_ended_elsewhere_is_forgotten_when_no_list_shows_it(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1), a_row(2))
    async with finding(source, tmp_path, a_rule(), shared=True) as found:
        await anyio.sleep(1)
        for number in (1, 2):
            await found.visited_elsewhere(a_key(number), over=number == 1)
        await anyio.sleep(60)
        assert found.numbers == [1, 2]

        source.hidden = {a_key(1), a_key(2)}
        await anyio.sleep(2 * 86_400)
        assert found.numbers == [2]


async def test_who_gives_a_source_up_waits_for_what_is_being_written(
    tmp_path: Path,
) -> None:
    async with finding(ListingSource(a_row(1)), tmp_path, a_rule()) as found:
        found.register.busy = anyio.Event()
        await anyio.sleep(1)
        found.ours = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(released, found)
            await anyio.sleep(60)
            found.register.busy.set()

        assert found.register.added == [1]


async def released(found: Finding) -> None:
    """Give up as a daemon does, which may write no more from then on."""
    await found.discovery.let_go()
    assert found.register.added == [1]


async def test_what_came_too_late_is_left_to_whoever_asks_from_now_on(
    tmp_path: Path,
) -> None:
    source = ListingSource(a_row(1))
    async with finding(source, tmp_path, a_rule()) as found:
        await anyio.sleep(1)
        found.register.busy = anyio.Event()
        source.put(a_row(2))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(found.discovery.follow, [a_rule(labels={"team": "sre"})])
            # The page that shows the second waits for its turn.
            await anyio.sleep(60)
            found.ours = False
            found.register.busy.set()
        await anyio.sleep(1)
        assert (found.register.added, found.numbers) == ([1, 1], [1])

        found.ours = True
        await found.discovery.take_over()
        await anyio.sleep(1)
        assert found.numbers == [1, 2]


async def test_what_is_over_is_dropped_by_whoever_asks_alone(tmp_path: Path) -> None:
    source = ListingSource(a_row(1))
    async with finding(source, tmp_path, a_rule(), shared=True) as found:
        await anyio.sleep(1)
        source.hidden = {a_key(1)}
        await anyio.sleep(2 * 86_400)
        found.register.busy = anyio.Event()
        await found.visited_elsewhere(a_key(1), over=True)
        await anyio.sleep(60)
        found.ours = False
        found.register.busy.set()
        await anyio.sleep(1)
        assert found.register.dropped == []

        found.ours = True
        await found.discovery.take_over()
        await anyio.sleep(60)
        assert found.register.dropped == [1]


async def test_what_another_found_by_a_rule_of_its_own_is_forgotten_once_it_is_over(
    tmp_path: Path,
) -> None:
    async with finding(ListingSource(), tmp_path, a_rule(), shared=True) as found:
        theirs = a_key(1, scope="9")
        await found.register.add([a_watch(theirs)])
        await found.discovery.read_again()
        await found.visited_elsewhere(theirs, over=True)
        await anyio.sleep(60)

        assert found.register.dropped == [1]


async def test_what_another_writes_is_all_that_is_read_again(tmp_path: Path) -> None:
    async with finding(ListingSource(), tmp_path, a_rule(), shared=True) as found:
        found.ours = False
        again = a_watch(a_key(1), labels={"team": "sre"})
        await found.register.add([a_watch(a_key(1)), a_watch(a_key(2))])
        await found.discovery.read_again()
        await found.register.add([again, a_watch(a_key(3))])
        await found.discovery.read_again()
        await found.register.drop([a_key(2)])
        await found.discovery.read_again()

        assert found.register.read == [[], [1, 2], [1, 3], []]
        assert found.numbers == [1, 3]
        assert found.watch(1) == again


async def test_what_has_numbers_of_old_after_a_failover_is_found_all_the_same(
    tmp_path: Path,
) -> None:
    async with finding(ListingSource(), tmp_path, a_rule(), shared=True) as found:
        found.ours = False
        lost = [a_key(1), a_key(2)]
        await found.register.add([a_watch(key) for key in lost])
        await found.discovery.read_again()
        await found.register.drop(lost)
        await found.register.add([a_watch(a_key(3))])
        await found.discovery.read_again()

        assert found.register.read == [[], [1, 2], [], [3]]
        assert found.numbers == [3]
