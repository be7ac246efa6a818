"""What several machines' files say together, through one store."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from monitor.store.sql import SqlStore
from monitor.watchlist import parts, union
from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing
from monitor.watchlist.union import LOOK, PACE, SETTLED, Union
from tests.support import stores
from tests.watchlist.reading import SOURCES

pytestmark = pytest.mark.looptime


class Machine:
    """One with a directory of its own; ``start`` forgets what it knew."""

    def __init__(self, place: Path, name: str, net: "Net") -> None:
        self.name = name
        self.directory = place / name
        (self.directory / "lists").mkdir(parents=True)
        self._net = net
        self.start()

    def start(self, *, patterns: tuple[str, ...] = ("lists", "jobs.txt")) -> None:
        files = Files(
            [str(self.directory / pattern) for pattern in patterns],
            directory=Path(),
            sources=SOURCES,
        )
        self.union = Union(
            files,
            self._net.store,
            self.name,
            directory=self.directory,
            sources=SOURCES,
            living=lambda: self._net.living,
            owns=lambda _: self.name == "a",
        )

    def write(self, name: str, content: str) -> None:
        path = self.directory / name
        fresh = path.with_name(f"{path.name}.tmp")
        fresh.write_text(content)
        fresh.replace(path)

    def remove(self, name: str) -> None:
        (self.directory / name).unlink()

    async def listing(self) -> Listing:
        return await self.union.listing()

    async def numbers(self) -> list[int]:
        """List the instances that are to be watched, in their order."""
        return [key.job_instance_id for key in (await self.listing()).watches]

    async def faults(self) -> list[str]:
        found = (await self.listing()).faults
        return [str(fault).replace(f"{self.directory}/", "") for fault in found]


class Net:
    def __init__(self, place: Path, store: SqlStore) -> None:
        self.store = store
        self.living = {"a", "b"}
        self.a = Machine(place, "a", self)
        self.b = Machine(place, "b", self)
        for machine in (self.a, self.b):
            machine.write("jobs.txt", "")


@asynccontextmanager
async def a_net(place: Path) -> AsyncIterator[Net]:
    async with stores.opened(place) as store:
        yield Net(place, store)


async def test_each_watches_what_any_of_them_names(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/a.txt", "2/1\n2/2\n")
        net.b.write("lists/b.txt", "2/3 team=sre\n")
        await net.a.listing()

        assert await net.b.numbers() == [1, 2, 3]
        assert await net.a.numbers() == [1, 2, 3]
        net.a.remove("lists/a.txt")
        assert await net.a.numbers() == [3]
        assert await net.b.numbers() == [3]


async def test_watches_of_others_come_as_if_their_file_lay_here(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/a.txt", "2/1 team=sre severity=critical\n")
        theirs, ours = await net.a.listing(), await net.b.listing()

        [here], [there] = ours.watches.values(), theirs.watches.values()
        assert (here.key, here.labels, here.options) == (
            there.key,
            there.labels,
            there.options,
        )
        assert here.place.path == str(net.b.directory / "lists/a.txt")


async def test_rules_of_others_hold_here_too(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/a.yaml", "discover: [{bk_biz_id: 2}]")
        await net.a.listing()

        [rule] = (await net.b.listing()).rules
        assert rule.scope == "prod/biz/2"


async def test_nothing_new_is_the_same_object(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/a.txt", "2/1\n")
        before = await net.a.listing()
        await net.b.listing()

        assert await net.a.listing() is before


async def test_of_two_files_the_first_by_pattern_then_name_has_an_instance(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/b.txt", "2/1 from=b\n")
        net.b.write("lists/a.txt", "2/1 from=a\n2/2 from=a\n")
        net.b.write("jobs.txt", "2/2 from=jobs\n")
        await net.a.listing()
        ours, theirs = await net.b.listing(), await net.a.listing()

        labels = [watch.labels["from"] for watch in ours.watches.values()]
        assert labels == ["a", "a"]
        assert [w.labels["from"] for w in theirs.watches.values()] == labels


async def test_of_one_file_the_newest_content_counts(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        for machine in (net.a, net.b):
            machine.write("lists/x.txt", "2/1\n")
            await machine.listing()
        net.a.write("lists/x.txt", "2/1\n2/2\n")

        assert await net.a.numbers() == [1, 2]
        assert await net.b.numbers() == [1, 2]
        net.b.start()
        assert await net.b.numbers() == [1, 2]
        net.b.write("lists/x.txt", "2/3\n")
        assert await net.b.numbers() == [3]
        assert await net.a.numbers() == [3]


async def test_a_file_that_one_removes_counts_as_another_has_it(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        for machine, number in ((net.a, 1), (net.b, 2)):
            machine.write("lists/x.txt", f"2/{number}\n")
            await machine.listing()
        net.b.remove("lists/x.txt")

        assert await net.b.numbers() == [1]


async def test_what_was_removed_while_the_daemon_was_away_is_withdrawn(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/x.txt", "2/1\n")
        await net.a.listing()
        net.a.remove("lists/x.txt")
        net.a.start()

        assert await net.b.numbers() == [1]
        assert await net.a.numbers() == []
        assert await net.b.numbers() == []


async def test_a_plain_file_that_is_gone_is_withdrawn(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("jobs.txt", "2/1\n")
        await net.a.listing()
        net.a.remove("jobs.txt")

        assert await net.a.numbers() == []


async def test_what_cannot_be_read_stays_as_it_was_also_after_a_restart(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/x.yaml", "watches: [2/1]")
        assert await net.a.numbers() == [1]
        net.a.write("lists/x.yaml", "watches: [")

        assert await net.a.numbers() == [1]
        net.a.start()
        assert await net.a.numbers() == [1]
        [fault] = await net.a.faults()
        assert fault.startswith("lists/x.yaml:")


async def test_while_a_directory_cannot_be_listed_nothing_is_withdrawn(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/x.txt", "2/1\n")
        await net.a.listing()
        # A link that leads to itself: there, and not to be listed.
        (net.a.directory / "lists/x.txt").unlink()
        (net.a.directory / "lists").rmdir()
        (net.a.directory / "lists").symlink_to("lists")
        net.a.start(patterns=("lists/*", "jobs.txt"))

        assert await net.a.numbers() == [1]


async def test_what_others_quarantine_is_shown_while_they_live(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        net.a.write("lists/x.txt", "2/1\nnonsense\n")
        await net.a.listing()

        assert await net.b.faults() == ["lists/x.txt: 1 quarantined on a"]
        net.living.discard("a")
        assert await net.b.faults() == []


async def test_a_difference_is_told_once_it_lasts_and_until_they_agree(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        for machine, number in ((net.a, 1), (net.b, 2)):
            machine.write("lists/x.txt", f"2/{number}\n")
            await machine.listing()
        with capture_logs() as lines:
            assert await net.a.faults() == await net.b.faults() == []
            await anyio.sleep(SETTLED)
            told = ["lists/x.txt: differs: what b has counts, another content is on a"]
            for _ in range(2):
                assert await net.a.faults() == await net.b.faults() == told
            net.a.write("lists/x.txt", "2/2\n")
            assert await net.a.faults() == await net.b.faults() == []

    assert [line for line in lines if line["event"].startswith("watchlist")] == [
        {
            "event": "watchlist.differs",
            "log_level": "warning",
            "file": "lists/x.txt",
            "counts": "b",
            "nodes": ["a"],
        },
        {
            "event": "watchlist.agrees",
            "log_level": "info",
            "file": "lists/x.txt",
        },
    ]


async def test_who_only_follows_late_does_not_differ(tmp_path: Path) -> None:
    async with a_net(tmp_path) as net:
        for count in range(1, 9):
            content = "".join(f"2/{n}\n" for n in range(1, count + 1))
            net.a.write("lists/x.txt", content)
            await net.a.listing()
            await anyio.sleep(SETTLED / 2)
            assert await net.b.faults() == []
            net.b.write("lists/x.txt", content)


async def test_a_large_list_is_said_no_faster_than_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(union, "PACE", 1)
    async with a_net(tmp_path) as net:
        net.a.write("lists/x.txt", "2/1\n")
        await net.a.listing()
        net.a.write("lists/x.txt", "2/2\n")

        assert await net.a.numbers() == [1]
        assert 0 < net.a.union.pause() <= LOOK
        await anyio.sleep(1000)
        assert await net.a.numbers() == [2]


async def test_a_line_more_in_a_large_list_is_a_part_more_to_read(
    tmp_path: Path,
) -> None:
    async with a_net(tmp_path) as net:
        many = "".join(f"2/{n}\n" for n in range(1, 3 * parts.SIZE))
        net.a.write("lists/x.txt", many)
        await net.a.listing()
        before = await net.b.listing()
        net.a.write("lists/x.txt", f"{many}2/{3 * parts.SIZE}\n2/90000\n")
        await anyio.sleep(len(many) / PACE)
        await net.a.listing()
        after = await net.b.listing()

        assert len(after.watches) == 3 * parts.SIZE + 1
        same = [k for k, w in before.watches.items() if after.watches[k] is w]
        assert len(same) == 2 * parts.SIZE
