"""What ``watch_lists`` means on the disk: files, directories and globs.

Paths stay as the user wrote them, relative to the directory of the configuration.
A name with the ending of a watch list is a file; a directory has another.
"""

import glob
import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePath

from monitor.watchlist import formats

_LEFTOVERS = ("~", ".swp", ".swx", ".tmp", ".bak")


def files(pattern: str, directory: Path, before: tuple[str, ...]) -> tuple[str, ...]:
    """List the files that *pattern* names, by name; a plain file is not looked for.

    What it named *before* and is not provably gone is named still: a directory
    that cannot be listed for a while must not end the watches in it.
    """
    kept = tuple(p for p in before if p != pattern and not gone(directory / p))
    wildcard = _wildcard(pattern, directory)
    if wildcard is None:
        return kept or (pattern,)
    found = {*_glob(wildcard, directory), *kept}
    return tuple(sorted(path for path in found if _readable(path, directory)))


def unlisted(pattern: str, directory: Path) -> OSError | None:
    """Say why the directory of a wildcard cannot be listed; a missing one is empty."""
    wildcard = _wildcard(pattern, directory)
    if wildcard is None or glob.has_magic(parent := str(PurePath(wildcard).parent)):
        return None
    try:
        os.scandir(directory / parent).close()
    except OSError as error:
        return None if isinstance(error, FileNotFoundError) else error
    return None


def directories(pattern: str, directory: Path) -> Iterator[Path]:
    """Name the directories in which *pattern* may come to name something else."""
    parent = PurePath(_wildcard(pattern, directory) or glob.escape(pattern)).parent
    while glob.has_magic(str(parent)):
        found = (directory / path for path in _glob(str(parent), directory))
        yield from filter(_is_directory, found)
        parent = parent.parent
    yield _nearest(directory / parent)


def target(path: Path) -> Path:
    """Name the directory in which the content of *path* really is."""
    return _nearest(Path(os.path.realpath(path)).parent)


def gone(path: Path) -> bool:
    """Tell whether *path* is known not to be there; being refused is not knowing."""
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


def _wildcard(pattern: str, directory: Path) -> str | None:
    path = directory / pattern
    if _is_directory(path) and not formats.known(pattern):
        return f"{glob.escape(pattern.rstrip('/'))}/*"
    if glob.has_magic(pattern) and not os.path.lexists(path):
        return pattern
    return None


def _glob(pattern: str, directory: Path) -> list[str]:
    # Path.glob takes no absolute patterns and forgets how a relative one began.
    return glob.glob(pattern, root_dir=directory, recursive=True)  # noqa: PTH207


def _readable(path: str, directory: Path) -> bool:
    name = PurePath(path).name
    if name.startswith((".", "#")) or name.endswith(_LEFTOVERS):
        return False
    return formats.known(path) or not _is_directory(directory / path)


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError:
        return False


def _nearest(path: Path) -> Path:
    return next(near for near in (path, *path.parents) if _is_directory(near))
