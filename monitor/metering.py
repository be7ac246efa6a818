"""What is counted: plain numbers, read only when somebody asks.

Whoever counts is a ``Meter``; ``web`` writes what its samples say. Nothing here
knows a library of metrics, so that counting costs the path of a poll an addition.
No label names an instance or an address: their number would have no bound.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Final, Literal, Protocol

from msgspec import Struct

from monitor.core import alerts, reach, transitions
from monitor.core.telling import WhyNot
from monitor.core.watch import Severity


class Metric(Struct, frozen=True):
    """*name* is without the prefix that all share; *labels* are names."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str


class Sample(Struct, frozen=True):
    """One number of *metric*; *labels* are values, in the order of its names.

    Of a histogram, *value* is the sum and *buckets* are upper bounds, the last of
    them infinite, each with how many values were not above it.
    """

    metric: Metric
    labels: tuple[str, ...]
    value: float
    buckets: tuple[tuple[float, int], ...] = ()


class Meter(Protocol):
    def samples(self) -> Iterable[Sample]:
        """Say the numbers as they are now; asked once a scrape, so it may count."""
        ...


class Histogram:
    """Counts values by size, between fixed *bounds*."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = (*bounds, inf)
        self._counts = [0] * len(self._bounds)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    @property
    def sum(self) -> float:
        return self._sum

    @property
    def count(self) -> int:
        return sum(self._counts)

    @property
    def buckets(self) -> tuple[tuple[float, int], ...]:
        """Say how many values were at most as large as each bound."""
        return tuple(zip(self._bounds, accumulate(self._counts), strict=True))


LATENESS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
DELAY: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)

DELIVERY: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

STALL: Final = (0.75, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""What is shorter than half a second is not counted."""

ENDPOINTS: Final = ("status", "groups", "list", "logs")
"""What JOB is asked for."""

RESULTS: Final = (
    "ok",
    "unavailable",
    "throttled",
    "refused",
    "forbidden",
    "missing",
    "garbled",
)
"""``ok``, or which ``errors.SourceError`` it was."""

SAVERS: Final = ("sweep",)
"""Pages of the list stood for visits."""

TAKEN: Final = ("moved", "unknown", "held_back", "malformed", "refused")
"""What became of a callback."""

REASONS: Final = ("undelivered", "rejected")
"""Why a try ended without the sink having taken the message."""

TYPES: Final = (*transitions.Kind, *alerts.Kind, *reach.Kind)
"""Those of events."""

HELD: Final = tuple((name, severity) for name in alerts.Name for severity in Severity)

BUILD_INFO: Final = Metric(
    "build_info", "gauge", ("version",), "1, with the version that runs."
)
API_REQUESTS: Final = Metric(
    "api_requests_total",
    "counter",
    ("source", "endpoint", "result"),
    "Requests to JOB, by call and by how they ended.",
)
API_REQUESTS_SAVED: Final = Metric(
    "api_requests_saved_total",
    "counter",
    ("source", "by"),
    "Requests to JOB that were not needed, by what replaced them.",
)
API_BUDGET_TOKENS: Final = Metric(
    "api_budget_tokens",
    "gauge",
    ("source",),
    "Requests that may be sent at once; +Inf without a limit.",
)
API_BUDGET_PART: Final = Metric(
    "api_budget_part",
    "gauge",
    ("source",),
    "Part of the source's budget that is this daemon's: 1 where it is alone.",
)
API_THROTTLED: Final = Metric(
    "api_throttled_total",
    "counter",
    ("source",),
    "Times that JOB or its gateway asked for fewer requests.",
)
POLL_LATENESS: Final = Metric(
    "poll_lateness_seconds",
    "histogram",
    ("source",),
    "How long after it was due a visit began.",
)
DETECTION_DELAY: Final = Metric(
    "detection_delay_seconds",
    "histogram",
    ("source",),
    "How long after JOB's own end time an end was seen.",
)
OLDEST_UNPOLLED: Final = Metric(
    "oldest_unpolled_seconds",
    "gauge",
    ("source",),
    "For how long a visit has been due that has not begun.",
)
WATCHED_INSTANCES: Final = Metric(
    "watched_instances", "gauge", ("source",), "Instances that are visited."
)
QUARANTINED: Final = Metric(
    "quarantined_entries",
    "gauge",
    (),
    "Entries of watch lists that are left out because they cannot be used.",
)
SOURCE_UP: Final = Metric(
    "source_up", "gauge", ("source",), "0 while the source is lost, else 1."
)
TRANSITIONS: Final = Metric(
    "transitions_total",
    "counter",
    ("type",),
    "Transitions and changes of alerts that were recorded, by type of event.",
)
ALERTS: Final = Metric(
    "alerts", "gauge", ("name", "severity"), "Alerts that hold, told or not."
)
CALLBACKS: Final = Metric(
    "callbacks_total",
    "counter",
    ("result",),
    "Callbacks of JOB, by what became of them.",
)
NOTIFICATIONS: Final = Metric(
    "notifications_total",
    "counter",
    ("sink",),
    "Messages, events too, that a sink has taken.",
)
NOTIFICATIONS_FAILED: Final = Metric(
    "notifications_failed_total",
    "counter",
    ("sink", "reason"),
    "Tries that a sink did not take, by reason.",
)
NOTIFICATIONS_SUPPRESSED: Final = Metric(
    "notifications_suppressed_total",
    "counter",
    ("reason",),
    "Decisions not to tell a sink about a group, by reason.",
)
NOTIFICATION_LATENCY: Final = Metric(
    "notification_latency_seconds",
    "histogram",
    ("sink",),
    "How long a sink took to take a message.",
)
SINK_UP: Final = Metric(
    "sink_up", "gauge", ("sink",), "0 while a sink fails to take something, else 1."
)
OUTBOX_DEPTH: Final = Metric(
    "outbox_depth",
    "gauge",
    ("sink",),
    "Messages that wait for a sink, unread events included.",
)
OUTBOX_OLDEST: Final = Metric(
    "outbox_oldest_seconds",
    "gauge",
    ("sink",),
    "How long the first message that waits has been tried.",
)
DLQ_DEPTH: Final = Metric(
    "dlq_depth", "gauge", ("sink",), "Dead letters: what a sink will never take."
)
RELOAD_SUCCESSFUL: Final = Metric(
    "config_last_reload_successful",
    "gauge",
    (),
    "0 where the last configuration that was read was refused, else 1.",
)
RELOAD_SUCCESS: Final = Metric(
    "config_last_reload_success_timestamp_seconds",
    "gauge",
    (),
    "When a configuration was last accepted, the first one too.",
)
STALLS: Final = Metric(
    "event_loop_stall_seconds",
    "histogram",
    (),
    "How long the daemon did nothing, where that was half a second or more.",
)

NODES: Final = Metric(
    "nodes", "gauge", (), "Daemons that share the store and live, as this one sees it."
)
NODE_DIFFERENCES: Final = Metric(
    "node_differences",
    "gauge",
    (),
    "Settings, or the version, that daemons which share the store have differently.",
)
SHARDS_OWNED: Final = Metric(
    "shards_owned", "gauge", (), "Shards of 64 that this daemon owns."
)
SHARDS_UNOWNED: Final = Metric(
    "shards_unowned",
    "gauge",
    (),
    "Shards of 64 that no daemon owns, as this one sees it; nobody looks there.",
)
SHARDS_GAINED: Final = Metric(
    "shards_gained_total", "counter", (), "Shards that this daemon took."
)
SHARDS_GIVEN_UP: Final = Metric(
    "shards_given_up_total", "counter", (), "Shards that this daemon left to others."
)
SHARDS_LOST: Final = Metric(
    "shards_lost_total",
    "counter",
    (),
    "Shards that this daemon owned when it began anew, since some were taken over.",
)
BEGINNINGS: Final = Metric(
    "begun_anew_total",
    "counter",
    (),
    "Times that this daemon lost what it owned, and began anew.",
)
LEASE: Final = Metric(
    "lease_seconds",
    "gauge",
    (),
    "For how long nobody takes over what is owned here; +Inf with SQLite, 0: maybe now.",
)

STORE_UP: Final = Metric(
    "store_up", "gauge", (), "1 unless everything waits for a database that is away."
)

METRICS: Final = (
    BUILD_INFO,
    RELOAD_SUCCESSFUL,
    RELOAD_SUCCESS,
    QUARANTINED,
    API_REQUESTS,
    API_REQUESTS_SAVED,
    API_BUDGET_TOKENS,
    API_BUDGET_PART,
    API_THROTTLED,
    POLL_LATENESS,
    OLDEST_UNPOLLED,
    DETECTION_DELAY,
    WATCHED_INSTANCES,
    SOURCE_UP,
    TRANSITIONS,
    ALERTS,
    CALLBACKS,
    NOTIFICATIONS,
    NOTIFICATIONS_FAILED,
    NOTIFICATIONS_SUPPRESSED,
    NOTIFICATION_LATENCY,
    SINK_UP,
    OUTBOX_DEPTH,
    OUTBOX_OLDEST,
    DLQ_DEPTH,
    STALLS,
    NODES,
    NODE_DIFFERENCES,
    SHARDS_OWNED,
    SHARDS_UNOWNED,
    SHARDS_GAINED,
    SHARDS_GIVEN_UP,
    SHARDS_LOST,
    BEGINNINGS,
    LEASE,
    STORE_UP,
)


class Tenure(Struct):
    """How often shards came and went; satisfies ``Meter``, and outlives what is owned."""

    gained: int = 0
    given_up: int = 0
    lost: int = 0
    begun_anew: int = 0

    def gain(self, shards: int) -> None:
        self.gained += shards

    def give_up(self, shards: int) -> None:
        self.given_up += shards

    def begin_anew(self) -> None:
        """What is owned by now is lost."""
        self.lost = self.gained - self.given_up
        self.begun_anew += 1

    def samples(self) -> Iterator[Sample]:
        yield Sample(SHARDS_GAINED, (), self.gained)
        yield Sample(SHARDS_GIVEN_UP, (), self.given_up)
        yield Sample(SHARDS_LOST, (), self.lost)
        yield Sample(BEGINNINGS, (), self.begun_anew)


def build(version: str) -> Iterator[Sample]:
    yield Sample(BUILD_INFO, (version,), 1)


def reloads(*, successful: bool, success_at: float) -> Iterator[Sample]:
    """*success_at* is in seconds since 1970."""
    yield Sample(RELOAD_SUCCESSFUL, (), int(successful))
    yield Sample(RELOAD_SUCCESS, (), success_at)


def quarantined(entries: int) -> Iterator[Sample]:
    yield Sample(QUARANTINED, (), entries)


def calls(source: str, counts: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    """*counts* by endpoint and result; what never happened is 0, not absent."""
    known = [(endpoint, result) for endpoint in ENDPOINTS for result in RESULTS]
    for both in dict.fromkeys([*known, *counts]):
        yield Sample(API_REQUESTS, (source, *both), counts.get(both, 0))


def saved(source: str, counts: Mapping[str, int]) -> Iterator[Sample]:
    """*counts* by what replaced the requests."""
    for by in dict.fromkeys([*SAVERS, *counts]):
        yield Sample(API_REQUESTS_SAVED, (source, by), counts.get(by, 0))


def tokens(source: str, left: float) -> Iterator[Sample]:
    yield Sample(API_BUDGET_TOKENS, (source,), left)


def part(source: str, part: float) -> Iterator[Sample]:
    yield Sample(API_BUDGET_PART, (source,), part)


def throttled(source: str, times: int) -> Iterator[Sample]:
    yield Sample(API_THROTTLED, (source,), times)


def lateness(source: str, seen: Histogram) -> Iterator[Sample]:
    """*seen* has the bounds ``LATENESS``."""
    yield Sample(POLL_LATENESS, (source,), seen.sum, seen.buckets)


def unpolled(source: str, oldest: float) -> Iterator[Sample]:
    """*oldest* is an age in seconds, 0 where no visit is due."""
    yield Sample(OLDEST_UNPOLLED, (source,), oldest)


def detection_delay(source: str, seen: Histogram) -> Iterator[Sample]:
    """*seen* has the bounds ``DELAY``."""
    yield Sample(DETECTION_DELAY, (source,), seen.sum, seen.buckets)


def watched(source: str, instances: int) -> Iterator[Sample]:
    yield Sample(WATCHED_INSTANCES, (source,), instances)


def source_up(source: str, *, up: bool) -> Iterator[Sample]:
    yield Sample(SOURCE_UP, (source,), int(up))


def store_up(*, up: bool) -> Iterator[Sample]:
    yield Sample(STORE_UP, (), float(up))


def recorded(counts: Mapping[str, int]) -> Iterator[Sample]:
    """*counts* by type of event."""
    for type_ in TYPES:
        yield Sample(TRANSITIONS, (type_,), counts.get(type_, 0))


def held(counts: Mapping[tuple[str, str], int]) -> Iterator[Sample]:
    """*counts* by name and severity of alerts."""
    for both in HELD:
        yield Sample(ALERTS, both, counts.get(both, 0))


def suppressed(counts: Mapping[str, int]) -> Iterator[Sample]:
    for reason in WhyNot:
        yield Sample(NOTIFICATIONS_SUPPRESSED, (reason,), counts.get(reason, 0))


def callbacks(counts: Mapping[str, int]) -> Iterator[Sample]:
    for result in TAKEN:
        yield Sample(CALLBACKS, (result,), counts.get(result, 0))


def delivered(
    sink: str, took: Histogram, failures: Mapping[str, int]
) -> Iterator[Sample]:
    """*took* has the bounds ``DELIVERY``; *failures* are by reason."""
    yield Sample(NOTIFICATIONS, (sink,), took.count)
    yield Sample(NOTIFICATION_LATENCY, (sink,), took.sum, took.buckets)
    for reason in REASONS:
        yield Sample(NOTIFICATIONS_FAILED, (sink, reason), failures.get(reason, 0))


def sink_up(sink: str, *, up: bool) -> Iterator[Sample]:
    yield Sample(SINK_UP, (sink,), int(up))


def backlog(sink: str, *, waiting: int, oldest: float, dead: int) -> Iterator[Sample]:
    """*oldest* is an age in seconds, 0 where nothing waits."""
    yield Sample(OUTBOX_DEPTH, (sink,), waiting)
    yield Sample(OUTBOX_OLDEST, (sink,), oldest)
    yield Sample(DLQ_DEPTH, (sink,), dead)


def stalls(seen: Histogram) -> Iterator[Sample]:
    """*seen* has the bounds ``STALL``."""
    yield Sample(STALLS, (), seen.sum, seen.buckets)


def cluster(
    *, nodes: int, differences: int, owned: int, unowned: int, lease: float
) -> Iterator[Sample]:
    """*lease* is in seconds from now."""
    yield Sample(NODES, (), nodes)
    yield Sample(NODE_DIFFERENCES, (), differences)
    yield Sample(SHARDS_OWNED, (), owned)
    yield Sample(SHARDS_UNOWNED, (), unowned)
    yield Sample(LEASE, (), lease)
