"""A watch: the wish to observe one instance, and who expressed it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from monitor.core.model import SCOPE_TYPES, InstanceKey


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


class Place(Struct, frozen=True, order=True, gc=False):
    """Where an entry stands, for messages a person can click on."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(p) for p in (self.path, self.line, self.column) if p)


class Options(Struct, frozen=True, kw_only=True, gc=False):
    """What an entry may say beside its labels; None leaves it to the settings."""

    severity: Severity | None = None
    settle: timedelta | None = None
    overdue_after: timedelta | None = None
    stalled_after: timedelta | None = None
    until: datetime | None = None


NO_OPTIONS = Options()


class Origin(StrEnum):
    FILE = "file"
    API = "api"
    DISCOVERY = "discovery"


class Added(Struct, frozen=True, kw_only=True, gc=False):
    """Who added a watch at run time, and why."""

    at: datetime
    author: str = ""
    comment: str = ""


class Watch(Struct, frozen=True, kw_only=True, gc=False):
    """*rule*: which rule of discovery found it; empty where somebody wrote it down."""

    key: InstanceKey
    labels: Mapping[str, str] = {}
    options: Options = NO_OPTIONS
    place: Place
    rule: str = ""
    added: Added | None = None

    @property
    def origin(self) -> Origin:
        if self.added is not None:
            return Origin.API
        return Origin.DISCOVERY if self.rule else Origin.FILE


class Pause(Struct, frozen=True, kw_only=True, gc=False):
    """Nobody is to look at *key* before *ends_at*; None: until somebody says so."""

    key: InstanceKey
    at: datetime
    ends_at: datetime | None = None
    author: str = ""
    comment: str = ""


def parse_key(text: str, *, sources: tuple[str, ...]) -> InstanceKey:
    """Read ``[source/][scope_type/]scope_id/job_instance_id``.

    A key without a source means the first of *sources*; *sources* must not be
    empty. Raises ValueError with a sentence that says what is wrong.

    >>> str(parse_key("2/20000153", sources=("prod",)))
    'prod/biz/2/20000153'
    """
    parts = text.strip().split("/")
    if not 2 <= len(parts) <= 4 or not all(parts):
        raise ValueError(
            f"{text[:80]!r} is not [source/][scope_type/]scope_id/job_instance_id"
        )
    *before, scope_id, number = parts
    source, scope_type = sources[0], "biz"
    match before:
        case [source, scope_type]:
            pass
        case [one] if one in SCOPE_TYPES:
            scope_type = one
        case [source]:
            pass
    return instance_key(source, scope_type, scope_id, number, sources=sources)


def instance_key(
    source: str,
    scope_type: str,
    scope_id: object,
    job_instance_id: object,
    *,
    sources: tuple[str, ...],
) -> InstanceKey:
    """Build a key from parts that somebody typed, or say what is wrong with them."""
    if source not in sources:
        known = ", ".join(sources)
        raise ValueError(f"unknown source {source[:40]!r}; configured: {known}")
    if scope_type not in SCOPE_TYPES:
        known = ", ".join(SCOPE_TYPES)
        raise ValueError(f"unknown scope type {scope_type[:40]!r}; known: {known}")
    scope, number = _digits(scope_id, "scope id"), _digits(job_instance_id, "job id")
    return InstanceKey(source, scope_type, scope, int(number))


def _digits(value: object, what: str) -> str:
    text = str(value).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise ValueError(f"{what} {text[:40]!r} is not a positive whole number")
    # JOB's ids are Java longs, and so are the columns of the databases.
    if not 0 < int(text) < 2**63:
        raise ValueError(f"{what} {text!r} is not between 1 and 2^63 - 1")
    return str(int(text))
