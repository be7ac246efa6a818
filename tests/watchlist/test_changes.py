"""Live reload: real files, real inotify, real time; the tests wait for events."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import anyio

from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing
from tests.watchlist.reading import SOURCES


class Watcher:
    """Reads once, then keeps the latest of what changes."""

    def __init__(self, directory: Path, *patterns: str) -> None:
        self.files = Files(patterns, directory=directory, sources=SOURCES)
        self.seen = [self.files.read()]
        self._stirred = anyio.Event()

    async def run(self) -> None:
        async with aclosing(self.files.changes()) as changes:
            async for listing in changes:
                self.seen.append(listing)
                self._stirred.set()
                self._stirred = anyio.Event()

    async def until(self, *numbers: int) -> Listing:
        """Wait until exactly these instances are watched."""
        with anyio.fail_after(10):
            while sorted(k.job_instance_id for k in self.seen[-1].watches) != [
                *numbers
            ]:
                await self._stirred.wait()
        return self.seen[-1]


@asynccontextmanager
async def watching(directory: Path, *patterns: str) -> AsyncIterator[Watcher]:
    watcher = Watcher(directory, *patterns)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.run, name="watch lists")
        yield watcher
        tasks.cancel_scope.cancel()


async def test_an_appended_line_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("2/1\n")
    async with watching(tmp_path, "a.txt") as watcher:
        with path.open("a") as file:
            file.write("2/2 team=sre\n")
        await watcher.until(1, 2)

        with path.open("a") as file:
            file.write("2/3")
        await watcher.until(1, 2, 3)


async def test_a_broken_line_heals_at_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"bk_biz_id": 2, "job_inst')
    async with watching(tmp_path, "a.jsonl") as watcher:
        assert len(watcher.seen[-1].faults) == 1

        with path.open("a") as file:
            file.write('ance_id": 1}\n')

        assert (await watcher.until(1)).faults == ()


async def test_an_atomic_rename_is_seen_time_and_again(tmp_path: Path) -> None:
    path, draft = tmp_path / "a.txt", tmp_path / "draft"
    path.write_text("2/1\n")
    async with watching(tmp_path, "a.txt") as watcher:
        for number in (2, 3):
            draft.write_text(f"2/{number}\n")
            draft.rename(path)
            await watcher.until(number)


async def test_a_deleted_file_is_seen_and_its_return_too(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("2/1\n")
    async with watching(tmp_path, "a.txt") as watcher:
        path.unlink()
        await watcher.until()

        path.write_text("2/1\n")
        assert (await watcher.until(1)).faults == ()


async def test_files_come_and_go_in_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    async with watching(tmp_path, "d") as watcher:
        (directory / "a.txt").write_text("2/1\n")
        await watcher.until(1)

        (directory / "b.csv").write_text("bk_biz_id,job_instance_id\n2,2\n")
        await watcher.until(1, 2)

        (directory / "a.txt").unlink()
        await watcher.until(2)


async def test_a_directory_may_appear_later_and_be_replaced(tmp_path: Path) -> None:
    async with watching(tmp_path, "x/d/*.txt") as watcher:
        (tmp_path / "x" / "d").mkdir(parents=True)
        (tmp_path / "x" / "d" / "a.txt").write_text("2/1\n")
        await watcher.until(1)

        (tmp_path / "x" / "d" / "b.txt").write_text("2/2\n")
        await watcher.until(1, 2)

        (tmp_path / "x").rename(tmp_path / "old")
        (tmp_path / "x" / "d").mkdir(parents=True)
        (tmp_path / "x" / "d" / "c.txt").write_text("2/3\n")
        await watcher.until(3)


async def test_a_mounted_list_that_is_swapped_behind_its_link_is_seen(
    tmp_path: Path,
) -> None:
    for version, number in (("v1", 1), ("v2", 2)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.txt").write_text(f"2/{number}\n")
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "a.txt").symlink_to("..data/a.txt")
    async with watching(tmp_path, "*.txt") as watcher:
        (tmp_path / "..new").symlink_to("v2")
        (tmp_path / "..new").rename(tmp_path / "..data")
        await watcher.until(2)


async def test_the_target_of_a_link_is_watched_too(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "d").mkdir()
    target = tmp_path / "elsewhere" / "b.txt"
    target.write_text("2/1\n")
    (tmp_path / "d" / "a.txt").symlink_to(target)
    async with watching(tmp_path, "d/a.txt") as watcher:
        target.write_text("2/2\n")
        await watcher.until(2)


async def test_what_changes_nothing_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("2/1\n")
    async with watching(tmp_path, "a.txt") as watcher:
        path.touch()
        (tmp_path / "b.txt").write_text("2/9\n")
        with path.open("a") as file:
            file.write("2/2\n")
        await watcher.until(1, 2)

    assert len(watcher.seen) == 2


async def test_leaving_takes_no_longer_than_a_moment(tmp_path: Path) -> None:
    with anyio.fail_after(3):
        async with watching(tmp_path, "a.txt"):
            pass
