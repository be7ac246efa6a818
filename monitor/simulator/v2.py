"""How the v2 API words an instance: the ``data`` of get_job_instance_status.

Pure: a moment in, bytes out. The envelope, the errors and the checks are the
bus's business (``esb``).
"""

from collections.abc import Callable, MutableSequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import msgspec

from monitor.simulator.story import Flavour
from monitor.simulator.timeline import FINISHED, WAITING, Moment, Row, Step

# bk-job JobContextUtil#getTimeZone: +8 unless a header asks for another.
_ZONE: Final = timezone(timedelta(hours=8))

# bk-job EsbAppScopeReq: what is numbered like this is a set of businesses.
_BUSINESS_SETS: Final = range(8_000_000, 10_000_000)

Shuffle = Callable[[MutableSequence[Any]], None]


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """Whose instance it is, and all that decides how a moment of it is put."""

    biz: int
    job_instance_id: int
    name: str
    epoch: float
    """When the instance began, in seconds since 1970."""

    flavour: Flavour = Flavour.MODERN
    stringly: bool = False
    shuffle: Shuffle | None = None


def data(moment: Moment, wording: Wording) -> bytes:
    tree = {
        "is_finished": _is_finished(moment.status, wording.flavour),
        "job_instance": _job(moment, wording),
        # One step to a block since 3.3.
        "blocks": [
            _block(step, step_id(wording.job_instance_id, number), wording)
            for number, step in enumerate(moment.steps)
        ],
    }
    return msgspec.json.encode(_stringly(tree) if wording.stringly else tree)


def step_id(job_instance_id: int, number: int) -> int:
    return job_instance_id * 100 + number + 1


def _is_finished(status: int, flavour: Flavour) -> bool:
    if flavour is Flavour.LEGACY:
        # EsbGetJobInstanceStatusResourceImpl up to 3.4: 7 and 10 count as finished.
        return status not in {1, 2}
    return status in FINISHED


def _job(moment: Moment, wording: Wording) -> dict[str, Any]:
    return {
        "job_instance_id": wording.job_instance_id,
        "bk_biz_id": wording.biz,
        **_scope(wording),
        "bk_job_id": -1,
        "name": wording.name,
        "operator": "admin",
        "status": moment.status,
        "start_way": 2,
        **_times(moment, wording),
        "current_step_instance_id": _current_step(moment, wording),
    }


def _scope(wording: Wording) -> dict[str, str]:
    # bk-job EsbAppScopeDTO, since 3.5.
    if wording.flavour is not Flavour.MODERN:
        return {}
    kind = "biz_set" if wording.biz in _BUSINESS_SETS else "biz"
    return {"bk_scope_type": kind, "bk_scope_id": str(wording.biz)}


def _current_step(moment: Moment, wording: Wording) -> int:
    # 0 before the start event, which sets it before the step itself begins.
    if moment.status == WAITING or not moment.steps:
        return 0
    begun = sum(step.status != WAITING for step in moment.steps)
    return step_id(wording.job_instance_id, max(begun - 1, 0))


def _block(step: Step, identifier: int, wording: Wording) -> dict[str, Any]:
    block = {"step_instances": [_step(step, identifier, wording)]}
    # The document has blocks[].type; no open-source server sends it.
    documented = wording.flavour is Flavour.DOCUMENT
    return {"type": step.kind, **block} if documented else block


def _step(step: Step, identifier: int, wording: Wording) -> dict[str, Any]:
    return {
        "step_instance_id": identifier,
        "step_id": -1,
        "name": step.name,
        "type": step.kind,
        "operator": "admin",
        "status": step.status,
        **_attempt(step, wording.flavour),
        **_times(step, wording),
        "step_ip_status": _rows(step.rows, wording.shuffle),
    }


def _attempt(step: Step, flavour: Flavour) -> dict[str, int | None]:
    if flavour is Flavour.DOCUMENT:
        return {"retry_count": step.execute_count}
    # EsbJobInstanceStatusDTO: pause is always null.
    return {"execute_count": step.execute_count, "pause": None}


def _rows(rows: tuple[Row, ...], shuffle: Shuffle | None) -> list[dict[str, Any]]:
    said = [
        {"ip": row.host.ip, "bk_cloud_id": row.host.bk_cloud_id, "status": row.status}
        for row in rows
    ]
    if shuffle is not None:
        # No ORDER BY: the order of rows means nothing.
        shuffle(said)
    return said


def _times(thing: Moment | Step, wording: Wording) -> dict[str, Any]:
    lasted = (
        round(thing.ended - thing.started, 3)
        if thing.started is not None and thing.ended is not None
        else None
    )
    return {
        "create_time": _date(0.0, wording),
        "start_time": _date(thing.started, wording),
        "end_time": _date(thing.ended, wording),
        "total_time": lasted,
    }


def _date(seconds: float | None, wording: Wording) -> str | None:
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(wording.epoch + seconds, UTC).astimezone(_ZONE)
    # yyyy-MM-dd HH:mm:ss without offset since 3.3; the document's example has one.
    offset = " %z" if wording.flavour is Flavour.DOCUMENT else ""
    return moment.strftime(f"%Y-%m-%d %H:%M:%S{offset}")


def _stringly(tree: Any) -> Any:
    match tree:
        case dict():
            return {key: _stringly(value) for key, value in tree.items()}
        case list():
            return [_stringly(value) for value in tree]
        case bool() | None | str():
            return tree
        case _:
            return str(tree)
