"""What was acknowledged survives a kill, a full disk and a power loss."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from monitor import errors
from monitor.core.state import State
from monitor.store import opening
from monitor.store.sql import SqlStore
from tests.store import committer
from tests.store.changes import KEY, a_change, remember
from tests.store.committer import KEYS, events_of, sequence_of
from tests.store.conftest import inline

KILLS = 30
ALL = 1_000_000


class Committer:
    """The process that starts victims; see ``committer``."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def start(
        self, url: str, *, limit: int | None = None, commits: int | None = None
    ) -> int:
        order = {"url": url, "limit": limit, "commits": commits}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        word, pid = self.heard()
        assert word == "started"
        return int(pid)

    def heard(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().split(maxsplit=2)

    def last_words(self) -> list[list[str]]:
        return [*iter(self.heard, ["ended"])]


def room_in_use(url: str) -> int:
    return Path(url.removeprefix("sqlite:///")).stat().st_size


def log_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


@pytest.fixture(scope="module")
def victims() -> Iterator[Committer]:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-m", committer.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
        text=True,
    ) as process:
        yield Committer(process)
        assert process.stdin is not None
        process.stdin.close()


class Acknowledged:
    """The newest version of each key, and number of the group, that was said."""

    def __init__(self) -> None:
        self.versions = dict.fromkeys(KEYS, 0)
        self.told = 0

    def hear(self, words: list[list[str]]) -> None:
        for word, *rest in words:
            if word == "ack":
                self.versions[rest[0]] = int(rest[1])
            elif word == "told":
                self.told = int(rest[0])


async def assert_kept(url: str, acknowledged: Acknowledged) -> None:
    async with opening.opened(url, run=inline) as store:
        found = {key: await store.load(key) for key in KEYS}
        for key, version in acknowledged.versions.items():
            assert found[key].version >= version
        assert (await store.accounts([KEY]))[KEY].notifications >= acknowledged.told
        await assert_whole(store, found)


async def assert_whole(store: SqlStore, found: dict[str, State]) -> None:
    """Hold each state against its events and alerts, each telling to its message."""
    logged: dict[str, list[int | None]] = {key: [] for key in KEYS}
    for _, event in (await store.unread("journal", ALL)).events:
        logged[event.key].append(event.sequence)
    for key, state in found.items():
        assert state.sequence == sequence_of(state.version)
        assert logged[key] == [*range(1, state.sequence + 1)]
        assert bool(state.alerts) == bool(state.version % 2)

    holding = {key for key, state in found.items() if state.alerts}
    account = (await store.accounts([KEY]))[KEY]
    assert {*await store.alerting()} == holding
    assert await store.informed() == ([KEY] if account.told else [])
    waiting = await store.waiting("oncall")
    assert len(waiting.get(f"{KEY}!", ())) == account.notifications


async def test_what_was_acknowledged_survives_a_kill_at_any_moment(
    url: str, victims: Committer
) -> None:
    luck, acknowledged, heard = random.Random(20261123), Acknowledged(), 0

    for _ in range(KILLS):
        pid = victims.start(url)
        before = [victims.heard() for _ in range(luck.randrange(80))]
        os.kill(pid, signal.SIGKILL)
        words = before + victims.last_words()
        heard += len(words)
        acknowledged.hear(words)
        await assert_kept(url, acknowledged)

    assert heard > KILLS
    assert min(acknowledged.versions.values()) > 0


# A full disk.


@pytest.mark.parametrize("room", [200_000, 50_000, 0])
async def test_a_file_that_may_not_grow_loses_nothing_acknowledged(
    url: str, room: int, victims: Committer
) -> None:
    acknowledged = Acknowledged()
    victims.start(url, commits=1)
    acknowledged.hear(victims.last_words())
    size = room_in_use(url)

    victims.start(url, limit=size + room)
    words = victims.last_words()
    acknowledged.hear(words)

    assert words[-1][0] == "StoreError"
    assert "the store failed: " in " ".join(words[-1])
    assert max(acknowledged.versions.values()) > 1
    await assert_kept(url, acknowledged)

    enough = max(acknowledged.versions.values()) + 5
    victims.start(url, commits=enough)
    acknowledged.hear(victims.last_words())
    assert acknowledged.versions == dict.fromkeys(KEYS, enough)
    await assert_kept(url, acknowledged)


@pytest.mark.parametrize("limit", [0, 1, 4096, 20_000])
def test_a_store_that_cannot_be_made_for_want_of_room_is_refused(
    url: str, limit: int, victims: Committer
) -> None:
    victims.start(url, limit=limit)
    words = [" ".join(words) for words in victims.last_words()]

    assert [word.partition(":")[0] for word in words] == ["Misconfigured store"]


async def test_a_full_disk_refuses_changes_until_there_is_room(url: str) -> None:
    async with opening.opened(url, run=inline) as store:
        await store.enrol("journal")
        await room_for(store, 32)
        done = await fill(store)

        with pytest.raises(errors.StoreError, match="database or disk is full"):
            await remember(store, a_change(done + 1, events=200))
        assert (await store.load(KEY)).version == done

    async with opening.opened(url, run=inline) as store:
        assert (await store.load(KEY)).version == done
        assert len((await store.unread("journal", ALL)).events) == done
        await remember(store, a_change(done + 1, events=200))
        assert len((await store.unread("journal", ALL)).events) == done + 200
    assert done > 0


async def room_for(store: SqlStore, pages: int) -> None:
    def job(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    await store._group.do(job, hurry=True)


async def fill(store: SqlStore) -> int:
    done = 0
    while True:
        try:
            await remember(store, a_change(done + 1))
        except errors.StoreError:
            return done
        done += 1


# A power loss: of the write-ahead log only a part has reached the disk.


class Log:
    """A store as it was with the first bytes of its log; *sizes* after each ack."""

    def __init__(self, file: Path, folder: Path) -> None:
        self._database = file.read_bytes()
        self._log = log_of(file).read_bytes()
        self._file = folder / "after.db"
        self.url = f"sqlite:///{self._file}"

    def __len__(self) -> int:
        return len(self._log)

    def cut(self, kept: int, noise: bytes = b"") -> None:
        for path in self._file.parent.iterdir():
            path.unlink()
        self._file.write_bytes(self._database)
        log_of(self._file).write_bytes(self._log[:kept] + noise)


def a_story(number: int) -> tuple[str, int]:
    """Tell which key the *number*-th change is about, and to which version."""
    return KEYS[number % len(KEYS)], number // len(KEYS) + 1


async def written(url: str, file: Path, folder: Path) -> tuple[Log, list[int]]:
    """Write a store; give its log, and how long that was at each acknowledgement."""
    sizes = []
    async with opening.opened(url, run=inline) as store:
        await store.enrol("journal")
        for number in range(60):
            key, version = a_story(number)
            events, after = events_of(version), sequence_of(version - 1)
            await remember(store, a_change(version, key, after=after, events=events))
            sizes.append(size_of(file))
        return Log(file, folder), sizes


def size_of(file: Path) -> int:
    return log_of(file).stat().st_size


async def survivors(log: Log) -> int:
    """Count the changes that survived; they must be the first ones, and whole."""
    async with opening.opened(log.url, run=inline) as store:
        await store.enrol("journal")
        found = {key: await store.load(key) for key in KEYS}
        count = sum(state.version for state in found.values())
        expected = dict.fromkeys(KEYS, 0) | dict(map(a_story, range(count)))
        assert {key: state.version for key, state in found.items()} == expected
        unread = await store.unread("journal", ALL)
        logged = [event.key for _, event in unread.events]
        assert len(logged) == sum(map(sequence_of, expected.values()))
    return count


async def test_of_a_torn_log_the_first_changes_survive_and_all_acknowledged(
    url: str, file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "after"
    folder.mkdir()
    log, sizes = await written(url, file, folder)
    luck, counts = random.Random(7), set[int]()
    cuts = [0, 1, 31, 32, 33, *(luck.randrange(len(log)) for _ in range(30)), len(log)]

    for kept in cuts:
        for noise in (b"", luck.randbytes(luck.randrange(1, 9000))):
            log.cut(kept, noise)
            count = await survivors(log)
            counts.add(count)
            assert count >= sum(size <= kept for size in sizes)

    assert {0, 60} <= counts
    assert len(counts) > 10
