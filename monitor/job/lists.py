"""``get_job_instance_list`` of v3 and v4: how it is asked, what its rows say.

The rows of both are alike; the documents' examples spell three of their keys
otherwise than the servers do, and both spellings are read. Source: bk-job
EsbTaskInstanceV3DTO.java and get_job_instance_list.md, read 2026-11.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from monitor import errors
from monitor.core.listing import Page, Query, Row
from monitor.core.model import InstanceKey
from monitor.job import ask, envelope, lenient
from monitor.job.ask import Ask, Field

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TICK: Final = timedelta(milliseconds=1)


class _Row(Struct):
    job_instance_id: Any = None
    id: Any = None
    status: Any = None
    task_status: Any = None
    type: Any = None
    task_type: Any = None
    bk_biz_id: Any = None
    bk_scope_type: Any = None
    bk_scope_id: Any = None
    name: Any = None
    operator: Any = None
    launch_mode: Any = None
    job_plan_id: Any = None
    job_template_id: Any = None
    create_time: Any = None
    start_time: Any = None
    end_time: Any = None


class _Data(Struct):
    """v3 names its rows ``data``, v4 ``job_instance_list``."""

    data: list[_Row | None] | None = None
    job_instance_list: list[_Row | None] | None = None


_DATA: Final = msgspec.json.Decoder(_Data)


def asked(query: Query, source: str, most: int, *, start: str) -> Ask[Page]:
    """Ask for *most* rows; *start* is what the API calls the rows to pass over."""
    since = (query.since - _EPOCH) // _TICK
    until = -((_EPOCH - query.until) // _TICK)
    fields: dict[str, Field] = {
        **ask.scope(query.scope_type, query.scope_id),
        # The end must lie behind the start.
        # Source: bk-job EsbGetJobInstanceListV3ResourceImpl.java, read 2026-11.
        "create_time_start": since,
        "create_time_end": max(until, since + 1),
        start: query.start,
        "length": most,
        **query.filter.fields(),
    }
    return Ask(
        "list",
        "get_job_instance_list",
        fields,
        lambda data: _page(data, query, source, most),
    )


def _page(raw: Raw, query: Query, source: str, most: int) -> Page:
    try:
        data = _DATA.decode(raw)
    except envelope.UNREADABLE as error:
        raise errors.Garbled(f"not a list of instances: {error}") from None

    came = data.data or data.job_instance_list or []
    ours = (_row(row, query, source) for row in came if row and _belongs(row, query))
    return Page(tuple(row for row in ours if row), full=len(came) >= most)


def _belongs(row: _Row, query: Query) -> bool:
    told = lenient.words(row.bk_scope_type), lenient.words(row.bk_scope_id)
    if any(told):
        return told == (query.scope_type, query.scope_id)
    if query.scope_type == "biz" and row.bk_biz_id is not None:
        return lenient.words(row.bk_biz_id) == query.scope_id
    return True


def _row(row: _Row, query: Query, source: str) -> Row | None:
    number = _either(row.job_instance_id, row.id)
    status = _either(row.status, row.task_status)
    created_at = lenient.moment(row.create_time)
    if not number or number < 1 or status is None or created_at is None:
        return None

    return Row(
        key=InstanceKey(source, query.scope_type, query.scope_id, number),
        status=status,
        created_at=created_at,
        name=lenient.words(row.name),
        operator=lenient.words(row.operator),
        launch_mode=lenient.number(row.launch_mode),
        type=_either(row.type, row.task_type),
        plan_id=lenient.chosen(row.job_plan_id),
        template_id=lenient.chosen(row.job_template_id),
        started_at=lenient.moment(row.start_time),
        ended_at=lenient.moment(row.end_time),
    )


def _either(emitted: object, documented: object) -> int | None:
    return lenient.number(documented if emitted is None else emitted)
