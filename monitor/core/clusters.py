"""Failed hosts gathered by how they failed, and the log tails that explain them.

A thousand hosts rarely fail in a thousand ways: what people read is one example of
each. Says whose logs are worth asking for, and lets what those say divide what
looked alike. Knows neither the API nor who is told.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from typing import Final

from msgspec import Struct

from monitor.core import codes
from monitor.core.model import Failure, HostId, Step

EXAMPLES: Final = 3
"""Hosts of a cluster that are named, and asked for their logs."""

MOST: Final = 10
"""Clusters of one step; the smallest beyond are summed up as one more."""

MOST_TAILS: Final = 30
"""Tails kept of one instance, those that turned out to be empty included."""

WITHOUT_LOG: Final = frozenset({2, 18})
"""Hosts on which nothing was started: JOB has no log of them. Source: bk-job,
reference section 5, read 2026-11."""

_LINES: Final = 3
_LINE: Final = 200


class Tail(Struct, frozen=True, gc=False):
    """The end of a host's log in one attempt; empty: asked for, and there is none."""

    execute_count: int
    text: str = ""


Tails = Mapping[int, Mapping[HostId, Tail]]
"""By step instance and host."""


class Wanted(Struct, frozen=True):
    """Whose logs are to be asked for, and in which attempt of the step they failed."""

    step_instance_id: int
    execute_count: int
    hosts: tuple[HostId, ...]


class Cluster(Struct, frozen=True, kw_only=True):
    """*count* hosts that failed alike; *log* is that of the first of *examples*.

    *status* is the one that most of them have. *kinds* above 1: what is left, of
    so many clusters.
    """

    status: int
    exit_code: int | None = None
    tag: str = ""
    count: int
    examples: tuple[HostId, ...]
    log: str = ""
    kinds: int = 1


class _Kind(Struct, frozen=True, gc=False):
    """What can be told apart without a log."""

    status: int
    exit_code: int | None
    tag: str


_STOPPED: Final = _Kind(min(codes.FORCE_STOPPED), None, "")

_Members = dict[HostId, Failure]


def gathered(
    failures: Mapping[HostId, Failure], tails: Mapping[HostId, Tail]
) -> list[Cluster]:
    """Gather hosts that failed alike, the largest cluster first.

    Where the logs of one kind end differently, each end is a cluster of its own.
    Hosts whose logs were not read are counted with the commonest end.
    """
    found = [
        _cluster(kind, members, tails)
        for kind, alike in _kinds(failures).items()
        for members in _divided(alike, tails)
    ]
    ranked = sorted(found, key=_rank)
    rest = ranked[MOST:]
    return ranked[:MOST] + ([_sum(rest)] if len(rest) > 1 else rest)


def _kinds(failures: Mapping[HostId, Failure]) -> dict[_Kind, _Members]:
    """Whom a stop of the job hit is one kind, whatever came of the stop there."""
    kinds: dict[_Kind, _Members] = {}
    for host, failure in failures.items():
        stopped = failure.status in codes.FORCE_STOPPED
        said = _Kind(failure.status, failure.exit_code, failure.tag)
        kinds.setdefault(_STOPPED if stopped else said, {})[host] = failure
    return kinds


def _divided(members: _Members, tails: Mapping[HostId, Tail]) -> Iterator[_Members]:
    ends = {
        host: fingerprint(tail.text)
        for host in members.keys() & tails.keys()
        if (tail := tails[host]).text and _explains(tail, members[host])
    }
    counts = Counter(ends[host] for host in sorted(ends))
    commonest = counts.most_common(1)[0][0] if counts else ""
    divided: dict[str, _Members] = {}
    for host, failure in members.items():
        divided.setdefault(ends.get(host, commonest), {})[host] = failure
    yield from divided.values()


def _explains(tail: Tail, failure: Failure) -> bool:
    return tail.execute_count == failure.execute_count


def _cluster(kind: _Kind, members: _Members, tails: Mapping[HostId, Tail]) -> Cluster:
    logs = {
        host: tails[host].text
        for host in members.keys() & tails.keys()
        if _explains(tails[host], members[host])
    }
    examples = nsmallest(EXAMPLES, members, key=lambda host: (not logs.get(host), host))
    statuses = Counter(failure.status for failure in members.values())
    return Cluster(
        status=_commonest(statuses),
        exit_code=kind.exit_code,
        tag=kind.tag,
        count=len(members),
        examples=tuple(examples),
        log=logs.get(examples[0], ""),
    )


def _commonest(counts: Mapping[int, int]) -> int:
    return min(counts, key=lambda status: (-counts[status], status))


def _rank(cluster: Cluster) -> tuple[object, ...]:
    exit_code = cluster.exit_code or 0
    return -cluster.count, cluster.status, exit_code, cluster.tag, cluster.examples


def _sum(rest: Sequence[Cluster]) -> Cluster:
    statuses = Counter[int]()
    for cluster in rest:
        statuses[cluster.status] += cluster.count
    examples = [host for cluster in rest for host in cluster.examples[:1]]
    return Cluster(
        status=_commonest(statuses),
        count=sum(cluster.count for cluster in rest),
        examples=tuple(examples[:EXAMPLES]),
        kinds=len(rest),
    )


def wanted(steps: Iterable[Step], tails: Tails) -> tuple[Wanted, ...]:
    """Say whose logs are still to be asked for: of each kind up to three hosts.

    Only those that failed in the step's current attempt, for JOB gives the log of
    no other. Source: bk-job EsbBatchGetJobInstanceIpLogV3ResourceImpl, reference
    section 5, read 2026-11.
    """
    room = MOST_TAILS - sum(map(len, tails.values()))
    found = []
    for step in steps:
        unread = _unread(step, tails.get(step.step_instance_id, {}))
        hosts = unread[: max(0, room)]
        if hosts:
            room -= len(hosts)
            count = step.execute_count
            found.append(Wanted(step.step_instance_id, count, tuple(hosts)))
    return tuple(found)


def _unread(step: Step, tails: Mapping[HostId, Tail]) -> list[HostId]:
    current = {
        host: failure
        for host, failure in step.failures.items()
        if failure.execute_count == step.execute_count
        and failure.status not in WITHOUT_LOG
    }
    kinds = _kinds(current).values()
    largest = nsmallest(MOST, kinds, key=lambda alike: (-len(alike), min(alike)))
    hosts: list[HostId] = []
    for alike in largest:
        missing = EXAMPLES - len(alike.keys() & tails.keys())
        if missing > 0:
            hosts += nsmallest(missing, alike.keys() - tails.keys())
    return hosts


def kept(steps: Iterable[Step], tails: Tails) -> Tails:
    """Leave those tails whose failures still stand as they were explained."""
    if not tails:
        return tails
    failures = {step.step_instance_id: step.failures for step in steps}
    standing = {
        step: {
            host: tail
            for host, tail in known.items()
            if host in failures.get(step, {}) and _explains(tail, failures[step][host])
        }
        for step, known in tails.items()
    }
    return {step: known for step, known in standing.items() if known}


def joined(tails: Tails, heard: Tails) -> Tails:
    """Lay *heard* over *tails*, as far as there is room."""
    room = MOST_TAILS - sum(map(len, tails.values()))
    after = {step: dict(known) for step, known in tails.items()}
    for step, hosts in heard.items():
        known = after.setdefault(step, {})
        for host, tail in hosts.items():
            room -= host not in known
            if room >= 0 or host in known:
                known[host] = tail
    return {step: known for step, known in after.items() if known}


_WORD: Final = re.compile(r"[^\s/=,:;()\[\]{}<>|\"'`]++")
_VARIABLE: Final = re.compile(
    r".*\d"  # numbers, addresses, times, ids, web-01
    r"|.*@"  # who@where
    r"|[A-Fa-f]{8,}$"
    r"|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)$"
    r"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)$"
)


def fingerprint(text: str) -> str:
    """Reduce a log to what its last lines say on every host alike.

    Every word with a digit in it is one and the same: numbers, addresses, times,
    ids, names such as web-01, parts of paths.

    >>> fingerprint("10:22:31 web-01 cp: /data/a1/x.sh: No space left")
    '# # cp: /data/#/x.sh: No space left'
    """
    lines = [line for line in text.splitlines() if line.strip()]
    alike = (_WORD.sub(_constant, line) for line in lines[-_LINES:])
    return "\n".join(_TIME.sub("#", " ".join(line.split()))[:_LINE] for line in alike)


_TIME: Final = re.compile(r"#(?:[:.,]#)++")


def _constant(word: re.Match[str]) -> str:
    return "#" if _VARIABLE.match(word[0]) else word[0]
