"""Each message as one line of a file: a CloudEvent in JSON, on the disk once it is taken.

Messages that come together share one fsync.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

from monitor import errors
from monitor.core.message import Message
from monitor.sinks.file.config import FileConfig
from monitor.sinks.file.journal import Journal


@asynccontextmanager
async def opened(config: FileConfig) -> AsyncIterator["FileSink"]:
    """Open the file; Misconfigured where that is not possible."""
    journal = Journal(config.path, max_size=config.max_size, keep=config.keep)
    try:
        await anyio.to_thread.run_sync(journal.open)
    except OSError as failed:
        raise errors.Misconfigured(
            f"sink {config.name}: {config.path}: {failed.strerror}: give the path of a"
            " file that this user may write, in a directory that is there"
        ) from failed
    try:
        yield FileSink(config, journal)
    finally:
        journal.close()


class _Batch:
    """Lines that are written together; *failed* is why they were not."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.done = False
        self.failed: OSError | None = None


class FileSink:
    def __init__(self, config: FileConfig, journal: Journal) -> None:
        self._config = config
        self._journal = journal
        self._writing = anyio.Lock()
        self._batch = _Batch()

    @property
    def name(self) -> str:
        return self._config.name

    async def deliver(self, message: Message) -> None:
        batch = self._batch
        batch.lines.append(message.cloudevent() + b"\n")
        async with self._writing:
            if not batch.done:
                await self._write(batch)
        if batch.failed is not None:
            raise errors.Undelivered(
                f"{self._config.path}: {batch.failed.strerror}"
            ) from batch.failed

    async def _write(self, batch: _Batch) -> None:
        """Write what has gathered; whoever comes later begins another batch."""
        self._batch = _Batch()
        try:
            await anyio.to_thread.run_sync(self._journal.append, batch.lines)
        except OSError as failed:
            batch.failed = failed
        batch.done = True
