"""Rules that find instances in the list of a scope and say how to watch them.

What JOB filters by is sent along to save rows; a row is always judged here.
"""

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, structs

from monitor.core import codes, paging
from monitor.core.listing import Filter, Query, Row
from monitor.core.watch import NO_OPTIONS, Options, Place, Watch

LAUNCH_MODES: Final = {"web": 1, "api": 2, "cron": 3}
TYPES: Final = {"job": 0, "script": 1, "file": 2}
"""Source: bk-job TaskStartupModeEnum and TaskTypeEnum, read 2026-11."""

PLACEHOLDERS: Final = ("name", "operator", "plan_id", "launch_mode")
"""What the value of a label may take from a row."""

OLDEST: Final = timedelta(days=30)
"""JOB's own limit of one question, and how long it keeps its history."""

AHEAD: Final = timedelta(days=1)
"""By how much JOB's clock may be ahead of ours."""

OVERLAP: Final = timedelta(minutes=5)
"""How much later than its own creation a row may appear in the list."""

LONGEST_VALUE: Final = 256

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]+)\}")
_INFIX: Final = re.compile(r"\*([^*?\\]+)\*")


class Rule(Struct, frozen=True, kw_only=True):
    """What to look for in one scope; None and no *statuses* are anything.

    *name* is a glob of ``*`` and ``?``. *age* is how far back to look, *every* how
    often, *most* how many instances the rule holds at once.
    """

    source: str
    scope_type: str
    scope_id: str
    name: str | None = None
    operator: str | None = None
    launch_mode: int | None = None
    type: int | None = None
    statuses: frozenset[int] = frozenset()
    age: timedelta = timedelta(hours=1)
    every: timedelta = timedelta(seconds=30)
    most: int = 10_000
    labels: Mapping[str, str] = {}
    options: Options = NO_OPTIONS
    place: Place

    @property
    def scope(self) -> str:
        return f"{self.source}/{self.scope_type}/{self.scope_id}"

    @property
    def selection(self) -> str:
        """Say what is looked for: the name of the rule, whatever else it says."""
        said = {
            "name": self.name,
            "operator": self.operator,
            "launch_mode": self.launch_mode,
            "type": self.type,
            "status": ",".join(map(str, sorted(self.statuses))) or None,
        }
        words = [f"{name}={value}" for name, value in said.items() if value is not None]
        return " ".join([self.scope, *words])


def matches(rule: Rule, row: Row, now: datetime) -> bool:
    """Judge *row* by all that the rule says, its age too."""
    return row.created_at >= now - rule.age and selects(rule, row)


def selects(rule: Rule, row: Row) -> bool:
    """Judge *row* however old it is: it was found when it was young."""
    return (
        row.key.scope == rule.scope
        and (rule.name is None or _glob(rule.name).match(row.name) is not None)
        and rule.operator in (None, row.operator)
        and rule.launch_mode in (None, row.launch_mode)
        and rule.type in (None, row.type)
        and (not rule.statuses or row.status in rule.statuses)
    )


def watch_of(rule: Rule, row: Row) -> Watch:
    return Watch(
        key=row.key,
        labels=_filled(rule.labels, row),
        options=rule.options,
        place=rule.place,
        rule=rule.selection,
    )


def renewed(rule: Rule, watch: Watch) -> Watch:
    """Let *watch* say what its rule says by now, without the row that it is from.

    A label that takes something from the row keeps the value it has.
    """
    labels = {
        name: watch.labels.get(name, "") if placeholders(value) else value
        for name, value in rule.labels.items()
    }
    labels = {name: value for name, value in labels.items() if value}
    return structs.replace(watch, labels=labels, options=rule.options, place=rule.place)


def unknown_placeholder(value: str) -> str | None:
    found = _PLACEHOLDER.findall(value)
    return next((name for name in found if name not in PLACEHOLDERS), None)


def placeholders(value: str) -> frozenset[str]:
    return frozenset(_PLACEHOLDER.findall(value)) & {*PLACEHOLDERS}


def since(rule: Rule, now: datetime, mark: datetime | None) -> datetime:
    """Say how far back to read; *mark* is the newest row known to be read.

    What a row is selected by never changes, but for its status: whoever selects by
    that reads all of it each time.
    """
    oldest = now - rule.age
    if mark is None or rule.statuses:
        return oldest
    return max(oldest, mark - OVERLAP)


def first_query(
    rule: Rule, now: datetime, mark: datetime | None, most: timedelta
) -> Query:
    """Ask for the newest rows; ``paging.onward`` goes on from there to ``since``."""
    until, far = now + AHEAD, since(rule, now, mark)
    query = Query(
        scope_type=rule.scope_type,
        scope_id=rule.scope_id,
        since=far,
        until=until,
        filter=_filter(rule),
    )
    return paging.within(query, until=until, since=far, most=most)


def horizon(rules: Iterable[Rule], now: datetime) -> datetime:
    """Say which rows none of *rules* will ever be shown again: those before."""
    oldest = max((rule.age for rule in rules), default=timedelta())
    return now - oldest - OVERLAP


def status(text: str) -> int | None:
    """Read a status of a job: its number, or its name in either language."""
    if text.isascii() and text.isdigit():
        return int(text[:9])
    return STATUS_NAMES.get(_plain(text))


def _plain(name: str) -> str:
    return name.lower().replace(" ", "-").replace("_", "-")


STATUS_NAMES: Final = {
    _plain(name): code.number
    for code in codes.RUNS.values()
    for name in (code.en, code.zh)
}


def _filter(rule: Rule) -> Filter:
    # JOB puts it into a LIKE as it is: % and _ let more pass than is meant, never
    # less; only a backslash would. Source: bk-job TaskInstanceDAOImpl, read 2026-11.
    infix = _INFIX.fullmatch(rule.name or "")
    return Filter(
        name=infix[1] if infix else None,
        operator=rule.operator,
        launch_mode=rule.launch_mode,
        type=rule.type,
        status=next(iter(rule.statuses)) if len(rule.statuses) == 1 else None,
    )


@functools.lru_cache(maxsize=256)
def _glob(pattern: str) -> re.Pattern[str]:
    # fnmatch takes no time that grows faster than name and pattern together.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))


def _filled(labels: Mapping[str, str], row: Row) -> dict[str, str]:
    filled = {
        name: _PLACEHOLDER.sub(lambda found: _taken(found, row), value)
        for name, value in labels.items()
    }
    return {name: value[:LONGEST_VALUE] for name, value in filled.items() if value}


def _taken(found: re.Match[str], row: Row) -> str:
    match found[1]:
        case "name":
            return _printable(row.name)
        case "operator":
            return _printable(row.operator)
        case "plan_id":
            # -1 where no plan was run. Source: bk-job EsbTaskInstanceV3DTO, 2026-11.
            return str(row.plan_id) if row.plan_id and row.plan_id > 0 else ""
        case "launch_mode":
            return _launch_mode(row.launch_mode)
        case _:
            return found[0]


def _launch_mode(number: int | None) -> str:
    words = {mode: word for word, mode in LAUNCH_MODES.items()}
    return "" if number is None else words.get(number, str(number))


def _printable(text: str) -> str:
    """Make harmless what anybody may have typed as the name of a job."""
    text = text[:LONGEST_VALUE]
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text
    )
