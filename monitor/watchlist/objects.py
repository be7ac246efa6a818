"""``.jsonl``: one JSON object a line, with the field names of JOB's own API.

The answer of an execute call may stand here with its business added to it: the ids
are then found in its ``data``. JOB's other fields are passed over.
"""

import json
from typing import Any, Final

from monitor.watchlist import entry
from monitor.watchlist.entry import Draft
from monitor.watchlist.reading import Entry, Reading, Unfit

_OURS: Final = ("labels", *entry.OPTIONS)


def read(content: bytes, reading: Reading) -> None:
    reading.entries(reading.lines(content), lambda line: _entry(line, reading))


def _entry(line: str, reading: Reading) -> Entry:
    found, draft = _decoded(line), reading.draft()
    data = found.get("data")
    inside = data if isinstance(data, dict) else {}
    for name in entry.IDS:
        value = found.get(name)
        draft.field(name, _text(name, inside.get(name) if value is None else value))
    for name, value in found.items():
        _take(draft, name, value)
    return draft.key(), reading.beside(draft)


def _decoded(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise Unfit(f"is no JSON: {error.msg}", column=error.colno) from error
    except RecursionError as error:
        raise Unfit("is nested too deeply") from error
    if not isinstance(found, dict):
        raise Unfit('is no object: write {"bk_biz_id": …, "job_instance_id": …}')
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    distinct = dict(pairs)
    if len(distinct) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unfit(f"{twice[:40]!r} is given twice")
    return distinct


def _take(draft: Draft, name: str, value: object) -> None:
    if name in entry.OPTIONS:
        draft.field(name, _text(name, value))
    elif name == "labels":
        if not isinstance(value, dict | None):
            raise Unfit('labels is no object: write {"team": "sre"}')
        for label, inside in (value or {}).items():
            draft.label(label, _text(label, inside))
    elif near := entry.nearest(name[:40], _OURS, 0.8):
        raise Unfit(f"unknown key {name[:40]!r}; did you mean {near!r}?")


def _text(name: str, value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return str(value)
        case _:
            raise Unfit(f"{name[:40]!r} is neither text nor number")
