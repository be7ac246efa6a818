"""The files of the watch list: read when they change, and never lost by accident.

Blocking work is in ``read``, which any thread may call; ``changes`` calls it in a
worker. A file that cannot be read, or not be understood as a whole, keeps its last
good content; one that is deleted ends its watches.
"""

import errno
import math
import os
import stat
import threading
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import watchfiles
from msgspec import Struct, structs

from monitor.core.watch import Place
from monitor.watchlist import formats, listing, patterns
from monitor.watchlist.listing import Listing
from monitor.watchlist.reading import Fault, Parsed

RESCAN_S: Final = 10.0
"""How often to look without being called: network file systems do not call."""

POLL_S: Final = 1.0
"""How often to look where the system refuses to call, for want of inotify watches."""

_GIVE_UP_MS = 250
"""awatch notices that it is cancelled no sooner than its own timeout."""

_KEPT = "; its last good content is kept"


class _Held(Struct, frozen=True):
    """What is known of one file; without a *fingerprint* it is read in any case."""

    fingerprint: tuple[int, ...] | None
    parsed: Parsed
    gone: bool = False


class Content(Struct, frozen=True):
    """What a file says, which the pattern of this *rank* named."""

    rank: int
    parsed: Parsed


class Contents(Struct, frozen=True):
    """Each file by its path; *complete*: there are no others."""

    files: Mapping[str, Content]
    complete: bool


class Files:
    def __init__(
        self, patterns: Sequence[str], *, directory: Path, sources: tuple[str, ...]
    ) -> None:
        self._patterns = tuple(dict.fromkeys(patterns))
        self._directory = directory
        self._sources = sources
        self._turn = threading.Lock()
        self._matched: dict[str, tuple[str, ...]] = {}
        self._held: dict[Path, _Held] = {}
        self._faults: list[Fault] = []
        self._listing = Listing()

    def reconfigured(
        self, patterns: Sequence[str], *, directory: Path, sources: tuple[str, ...]
    ) -> "Files":
        """Start anew with other settings, and the last good content of each file."""
        files = Files(patterns, directory=directory, sources=sources)
        with self._turn:
            files._held = {
                path: _of_sources(held, sources) for path, held in self._held.items()
            }
            files._matched = self._matched if directory == self._directory else {}
        return files

    def read(self) -> Listing:
        """Read what changed; the same object as last time says that nothing did."""
        with self._turn:
            held, faults = self._look()
            if (held, faults) != (self._held, self._faults):
                found = listing.gather((file.parsed for file in held.values()), faults)
                self._held, self._faults = held, faults
                self._listing = self._listing if found == self._listing else found
            return self._listing

    def contents(self) -> Contents:
        """Give file by file what was read last."""
        with self._turn:
            files: dict[str, Content] = {}
            for rank, pattern in enumerate(self._patterns):
                for path in self._matched.get(pattern, ()):
                    held = self._held.get(self._directory / path)
                    if held is not None and not held.gone:
                        files.setdefault(path, Content(rank, held.parsed))
            return Contents(files, complete=not self._faults)

    async def changes(self) -> AsyncGenerator[Listing]:
        """Yield every listing that differs from the last one that was read.

        Close it (``contextlib.aclosing``) when you leave it: it holds an inotify
        watch.
        """
        while True:
            places = await anyio.to_thread.run_sync(self._places)
            async with aclosing(_stirs(path for path, _ in places)) as stirs:
                async for _ in stirs:
                    before = self._listing
                    after = await anyio.to_thread.run_sync(self.read)
                    if after is not before:
                        yield after
                    if places != await anyio.to_thread.run_sync(self._places):
                        break

    def _look(self) -> tuple[dict[Path, _Held], list[Fault]]:
        held: dict[Path, _Held] = {}
        faults: list[Fault] = []
        for pattern in self._patterns:
            before = self._matched.get(pattern, ())
            paths = patterns.files(pattern, self._directory, before)
            self._matched[pattern] = paths
            for path in paths:
                place = self._directory / path
                if place not in held:
                    held[place] = self._file(path, plain=path == pattern)
            if error := patterns.unlisted(pattern, self._directory):
                reason = f"cannot be listed: {error.strerror}"
                faults.append(Fault(Place(pattern), reason))
        return held, faults

    def _file(self, path: str, *, plain: bool) -> _Held:
        place = self._directory / path
        before = self._held.get(place)
        try:
            if before and before.fingerprint == _fingerprint(place.stat()):
                return before
            fingerprint, content = _content(place)
        except OSError as error:
            fault = Fault(Place(path), f"cannot be read: {error.strerror}")
            found = Parsed(faults=(fault,), legible=False)
            ended = plain and patterns.gone(place)
            return _Held(None, found if ended else _kept(found, before), gone=ended)
        found = formats.parse(path, content, sources=self._sources)
        return _Held(fingerprint, found if found.legible else _kept(found, before))

    def _places(self) -> frozenset[tuple[Path, int]]:
        """Name the directories to watch; with its inode, for one may be replaced."""
        with self._turn:
            named = {
                place
                for pattern in self._patterns
                for place in patterns.directories(pattern, self._directory)
            }
            named.update(patterns.target(path) for path in self._held)
        return frozenset((place, _inode(place)) for place in named)


def _kept(found: Parsed, before: _Held | None) -> Parsed:
    if before is None or not (before.parsed.watches or before.parsed.rules):
        return found
    *others, last = found.faults
    last = structs.replace(last, reason=last.reason + _KEPT)
    return structs.replace(before.parsed, faults=(*others, last), legible=False)


def _of_sources(held: _Held, sources: tuple[str, ...]) -> _Held:
    watches = tuple(w for w in held.parsed.watches if w.key.source in sources)
    rules = tuple(rule for rule in held.parsed.rules if rule.source in sources)
    return _Held(None, structs.replace(held.parsed, watches=watches, rules=rules))


def _content(path: Path) -> tuple[tuple[int, ...], bytes]:
    # Path.open takes no opener, and opening a pipe would wait for its writer.
    with open(
        path, "rb", opener=lambda p, how: os.open(p, how | os.O_NONBLOCK)
    ) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return _fingerprint(found), file.read(formats.LARGEST + 1)


def _fingerprint(found: os.stat_result) -> tuple[int, ...]:
    which = (found.st_dev, found.st_ino)
    return (*which, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


async def _stirs(paths: Iterable[Path]) -> AsyncGenerator[None]:
    """Yield once the watch stands, whenever something stirs, and now and then."""
    due = -math.inf
    watching = watchfiles.awatch(
        *paths,
        watch_filter=None,
        debounce=1000,
        rust_timeout=_GIVE_UP_MS,
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    )
    try:
        async with aclosing(watching):
            async for stirred in watching:
                now = anyio.current_time()
                if now >= due or any(_concerns(*change) for change in stirred):
                    due = now + RESCAN_S
                    yield
    except (OSError, RuntimeError):
        # Also a directory that went away meanwhile: the next look knows better.
        await anyio.sleep(POLL_S)
        yield


def _concerns(change: watchfiles.Change, path: str) -> bool:
    """Tell whether to look: the store is written beside the lists all the time."""
    return formats.known(path) or change is not watchfiles.Change.modified
