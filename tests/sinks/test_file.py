"""Lines in a file: whole, on the disk, rotated; on a real file system."""

import errno
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import structs
from pydantic import TypeAdapter

from monitor import clock, errors
from monitor.core.message import Message
from monitor.sinks import catalogue
from monitor.sinks.catalogue import SinkConfig
from tests.sinks.messages import an_event

# Threads would be outrun by virtual time.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature


def config(path: Path, **more: Any) -> SinkConfig:
    given = {"name": "archive", "kind": "file", "path": path, **more}
    return TypeAdapter[SinkConfig](SinkConfig).validate_python(given)


def opened(path: Path, **more: Any) -> Any:
    return catalogue.opened(config(path, **more), now=clock.utc_now)


def numbered(number: int) -> Message:
    return structs.replace(an_event(), id=f"prod/biz/2/20000153#{number}")


def ids(path: Path) -> list[int]:
    lines = path.read_text().splitlines()
    return [int(json.loads(line)["id"].partition("#")[2]) for line in lines]


def files_in(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


async def test_each_message_is_a_line_of_json_for_few_to_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    async with opened(path) as sink:
        await sink.deliver(numbered(1))
        await sink.deliver(numbered(2))

    first, second = path.read_bytes().splitlines()
    assert first == numbered(1).cloudevent()
    assert second == numbered(2).cloudevent()
    assert path.stat().st_mode & 0o777 == 0o640


async def test_what_was_taken_is_on_the_disk_and_what_comes_together_is_synced_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        real(file)

    async with opened(path := tmp_path / "events.jsonl") as sink:
        monkeypatch.setattr("monitor.sinks.file.journal.os.fsync", fsync)
        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(sink.deliver, numbered(number))
        size = path.stat().st_size

    assert sorted(ids(path)) == list(range(100))
    assert synced[-1] == size
    assert len(synced) < 20


async def test_a_file_that_is_full_is_followed_by_another_and_few_are_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    async with opened(path, max_size="1KiB", keep=2) as sink:
        for number in range(20):
            await sink.deliver(numbered(number))

    files = files_in(tmp_path)
    assert [file.name for file in files] == [
        "events.jsonl",
        "events.jsonl.1",
        "events.jsonl.2",
    ]
    assert all(file.stat().st_size <= 1024 for file in files)
    kept = [number for file in reversed(files) for number in ids(file)]
    assert kept == list(range(20))[-len(kept) :]


async def test_without_any_to_keep_the_file_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    async with opened(path, max_size="1KiB", keep=0) as sink:
        for number in range(20):
            await sink.deliver(numbered(number))

    assert [file.name for file in files_in(tmp_path)] == ["events.jsonl"]
    assert ids(path)[-1] == 19


async def test_a_file_that_somebody_moves_away_is_followed_by_a_new_one(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    async with opened(path) as sink:
        await sink.deliver(numbered(1))
        path.rename(tmp_path / "events.jsonl.20261127")
        await sink.deliver(numbered(2))
        path.unlink()
        await sink.deliver(numbered(3))

    assert ids(tmp_path / "events.jsonl.20261127") == [1]
    assert ids(path) == [3]


async def test_a_line_that_a_crash_tore_is_glued_to_no_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(numbered(1).cloudevent() + b'\n{"id":"prod/biz')
    async with opened(path) as sink:
        await sink.deliver(numbered(2))

    first, torn, second = path.read_bytes().splitlines()
    assert torn == b'{"id":"prod/biz'
    assert (first, second) == (numbered(1).cloudevent(), numbered(2).cloudevent())


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond *size*, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_on_a_full_disk_no_half_of_a_line_is_left_and_it_goes_on_later(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.jsonl"
    async with opened(path) as sink:
        await sink.deliver(numbered(1))
        whole = path.stat().st_size
        with (
            room_for(whole + 10),
            pytest.raises(errors.Undelivered, match=r"events[.]jsonl: File too large"),
        ):
            await sink.deliver(numbered(2))
        left = path.stat().st_size
        await sink.deliver(numbered(2))

    assert left == whole
    assert ids(path) == [1, 2]


async def test_a_directory_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    directory = tmp_path / "log"
    directory.mkdir()
    path = directory / "events.jsonl"
    async with opened(path) as sink:
        path.unlink()
        directory.rmdir()
        with pytest.raises(errors.Undelivered, match="No such file or directory"):
            await sink.deliver(numbered(1))
        directory.mkdir()
        await sink.deliver(numbered(1))

    assert ids(path) == [1]


async def test_two_never_write_to_one_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    async with opened(path):
        with pytest.raises(errors.Misconfigured, match="somebody else writes to it"):
            async with opened(path):
                pass


@pytest.mark.parametrize("kind", ["directory", "pipe", "nowhere"])
async def test_what_is_no_file_is_refused_with_what_to_do(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "there"
    match kind:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "nowhere":
            path = path / "events.jsonl"

    with pytest.raises(errors.Misconfigured, match="give the path of a file") as found:
        async with opened(path):
            pass

    assert "None" not in str(found.value)
    assert os.strerror(errno.EPERM) not in str(found.value)
