"""One entry while it is read: ids, options and labels, checked as they come in.

An empty value is the same as none. Every complaint is a ValueError whose sentence
says what would be right.
"""

import difflib
import functools
import re
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

from msgspec import Struct, structs

from monitor import durations
from monitor.core import watch
from monitor.core.model import InstanceKey
from monitor.core.watch import NO_OPTIONS, Options, Severity

IDS: Final = ("bk_biz_id", "bk_scope_type", "bk_scope_id", "job_instance_id")
OPTIONS: Final = (
    "source",
    "severity",
    "settle",
    "overdue_after",
    "stalled_after",
    "until",
)
RESERVED: Final = frozenset({"type", *OPTIONS})
"""No labels: matchers find the message's own values under some of these names."""

MOST_LABELS: Final = 32
LONGEST_NAME: Final = 128
LONGEST_VALUE: Final = 256

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class Beside(Struct, frozen=True, kw_only=True, gc=False):
    """What an entry says beside its key."""

    labels: Mapping[str, str] = {}
    options: Options = NO_OPTIONS
    source: str | None = None


NOTHING: Final = Beside()


def said(labels: Mapping[str, str], options: Mapping[str, str]) -> Beside:
    """Read what is said of a watch that stands in no list, by the same rules."""
    draft = Draft(())
    for name, value in options.items():
        draft.field(name, value)
    for name, value in labels.items():
        draft.label(name, value)
    return draft.beside()


class Draft:
    """Starts from the *defaults* of the file; what the entry says goes over them."""

    def __init__(self, sources: tuple[str, ...], defaults: Beside = NOTHING) -> None:
        self._sources = sources
        self._defaults = defaults
        self._ids: dict[str, str] = {}
        self._options: dict[str, Any] = {}
        self._labels: dict[str, str] = {}

    def field(self, name: str, value: str) -> None:
        """Take an id, an option or a label, whichever *name* is."""
        if name in IDS:
            self._ids[name] = value.strip()
        elif name not in OPTIONS:
            self.label(name, value)
        elif name in self._options:
            raise ValueError(f"{name!r} is given twice")
        else:
            self._options[name] = self._value(name, value.strip())

    def label(self, name: str, value: str) -> None:
        check_label_name(name)
        if name in self._labels:
            raise ValueError(f"label {name!r} is given twice")
        if len(value) > LONGEST_VALUE or _UNPRINTABLE.search(value):
            raise ValueError(
                f"label {name!r} has more than {LONGEST_VALUE} characters"
                " or an unprintable one"
            )
        self._labels[sys.intern(name)] = sys.intern(value)

    def key(self) -> InstanceKey:
        """Build the key from JOB's own field names."""
        scope_type, scope_id = self._scope()
        if not (number := self._ids.get("job_instance_id")):
            raise ValueError("job_instance_id is missing")
        return self._key(scope_type, scope_id, number)

    def scope(self) -> tuple[str, str, str]:
        """Name source, scope type and scope id, where no single instance is meant."""
        key = self._key(*self._scope(), "1")
        return key.source, key.scope_type, key.scope_id

    def beside(self) -> Beside:
        labels = {**self._defaults.labels, **self._labels}
        labels = {name: value for name, value in labels.items() if value}
        if len(labels) > MOST_LABELS:
            raise ValueError(f"{len(labels)} labels are more than {MOST_LABELS}")
        said = dict(self._options)
        source = said.pop("source", self._defaults.source)
        options = structs.replace(self._defaults.options, **said)
        return Beside(labels=labels, options=options, source=source)

    def _key(self, scope_type: str, scope_id: str, number: str) -> InstanceKey:
        source = self._options.get("source") or self._defaults.source
        return watch.instance_key(
            source or self._sources[0],
            scope_type,
            scope_id,
            number,
            sources=self._sources,
        )

    def _scope(self) -> tuple[str, str]:
        if scope_id := self._ids.get("bk_scope_id"):
            return self._ids.get("bk_scope_type") or "biz", scope_id
        if business := self._ids.get("bk_biz_id"):
            return "biz", business
        raise ValueError("bk_biz_id is missing (or bk_scope_type and bk_scope_id)")

    def _known(self, source: str) -> str:
        if source not in self._sources:
            known = ", ".join(self._sources)
            raise ValueError(f"unknown source {source!r}; configured: {known}")
        return source

    def _value(self, name: str, text: str) -> object:
        if not text:
            return None
        match name:
            case "source":
                return self._known(text)
            case "severity":
                return _severity(text)
            case "until":
                return _moment(text)
            case _:
                return durations.parse(text)


@functools.lru_cache(maxsize=256)
def check_label_name(name: str) -> None:
    if name in RESERVED:
        raise ValueError(f"{name!r} is reserved: no label can have this name")
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f"{name[:40]!r} is no label name: write letters, digits and _,"
            f" at most {LONGEST_NAME}, no digit first"
        )


@functools.lru_cache(maxsize=256)
def nearest(name: str, known: tuple[str, ...], likeness: float = 0.6) -> str | None:
    close = difflib.get_close_matches(name, known, n=1, cutoff=likeness)
    return close[0] if close else None


def unknown_key(name: str, known: tuple[str, ...]) -> str:
    near = nearest(name[:40], known)
    hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {name[:40]!r}; {hint}"


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError:
        raise ValueError(
            f"severity {text[:40]!r} is neither warning nor critical"
        ) from None


def _moment(text: str) -> datetime:
    """Read an end: a date lasts to its last moment, and no offset means UTC."""
    try:
        return datetime.combine(date.fromisoformat(text), time.max, UTC)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text[:40]!r} is no date: write 2026-12-31 or 2026-12-31T18:00:00+08:00"
        ) from None
