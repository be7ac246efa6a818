"""Logs of hosts: whose they are, and the end of each.

No API gives the end alone: all send whole logs, so that the answer is cut after a
few megabytes and what is whole in it is used. Source: bk-job
EsbGetJobInstanceLogResourceImpl.java and its siblings, read 2026-11.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from monitor.core import model
from monitor.core.model import HostId
from monitor.job import lenient, text

MOST: Final = 4 << 20
"""Bytes of an answer, after inflation."""

END: Final = 4096
"""Bytes of one host's log."""

# "&quot;" is the longest that a character becomes.
_LONGEST_ENTITY: Final = 6
_FAILED: Final = 5
_LAST: Final = 16


class File(Struct):
    # Source: bk-job get_job_instance_ip_log.md, read 2026-11: status 5 is failed,
    # 4 done; a file has a log of each way, 0 up and 1 down.
    status: Any = None
    log_content: Any = None


class Wanted:
    """The hosts whose logs are wanted, to be found by whatever a row tells of them."""

    def __init__(self, hosts: Sequence[HostId]) -> None:
        self.numbers: dict[int, HostId] = {}
        self.places: dict[HostId, HostId] = {}
        self.containers: dict[int, HostId] = {}
        for host in hosts:
            self._add(host)

    def _add(self, host: HostId) -> None:
        if host.startswith("@"):
            self.containers[int(host[1:].partition(" ")[0])] = host
            return
        address = model.address(host)
        if address.bk_host_id:
            self.numbers[address.bk_host_id] = host
        if address.ip:
            self.places[model.without_number(host)] = host

    @property
    def unnumbered(self) -> list[dict[str, str | int]]:
        """List the hosts that are known by cloud and ip only, as APIs take them."""
        found = [model.address(host) for host in self.places.values()]
        return [
            {"bk_cloud_id": known.bk_cloud_id or 0, "ip": known.ip or ""}
            for known in found
            if not known.bk_host_id
        ]

    def host(
        self, ip: str | None, bk_cloud_id: int | None, number: int | None = None
    ) -> HostId | None:
        # Before 3.12 logs name no bk_host_id (bk-job issue 3477).
        if number in self.numbers:
            return self.numbers[number]
        found = self.places.get(model.host_id(ip, bk_cloud_id or 0))
        # An ip may have gone to another host since.
        return None if found and number and "#" in found else found


def of_files(files: Iterable[File]) -> str:
    """Join what was said about the last files, of those that failed if any did."""
    told = [file for file in files if isinstance(file.log_content, str)]
    failed = [file for file in told if lenient.number(file.status) == _FAILED]
    return "\n".join(file.log_content for file in (failed or told)[-_LAST:])


def ends(
    found: Iterable[tuple[HostId | None, object]], *, escaped: bool = False
) -> Mapping[HostId, str]:
    """Give the ends of the logs of wanted hosts; the last of a host counts.

    *escaped*: for HTML.
    """
    ends = {
        host: _end(log, escaped=escaped)
        for host, log in found
        if host and isinstance(log, str)
    }
    return {host: end for host, end in ends.items() if end}


def _end(log: str, *, escaped: bool) -> str:
    if escaped:
        log = html.unescape(log[-2 * _LONGEST_ENTITY * END :])
    return text.end(log, END)
