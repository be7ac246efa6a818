"""What the hosts print: the whole log of a row, as written or as is plausible.

Pure. No log at all is None, which is not an empty one.
"""

from collections.abc import Mapping
from typing import Final

from monitor.simulator.timeline import FILE, ROW_SUCCESS, Row, Step

# 2 and 18 end before anything is sent to the host, and 5 has not begun.
_SILENT: Final = frozenset({2, 5, 18})

_LAST_WORDS: Final[Mapping[int, str]] = {
    7: "copying 3 of 10 …",
    9: "done",
    11: "file transfer failed: target directory is not writable",
    101: "job_fail called by the script",
    102: "script timeout",
    103: "script terminated",
    104: "tar: <stdin>: write error & exit: No space left on device",
    310: "agent is not alive, last heartbeat 312 s ago",
    311: "user deploy does not exist",
    320: 'cannot open "/data/release.tar.gz": No such file or directory',
    403: "terminated by the user",
}


def text(step: Step, row: Row) -> str | None:
    if row.log is not None:
        return row.log
    if row.status in _SILENT:
        return None
    last = _LAST_WORDS.get(row.status, f"failed with status {row.status}")
    return f"{step.name}: begin on {row.host.address}\n{last}\n"


def transfer(row: Row) -> tuple[int, str]:
    """Say how far the only file of a row has come: 3 loading, 4 done, 5 failed."""
    if row.status == ROW_SUCCESS:
        return 4, "100%"
    return (3, "30%") if row.status == 7 else (5, "0%")


def is_of_files(step: Step) -> bool:
    return step.kind == FILE
