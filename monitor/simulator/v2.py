"""How the v2 API words an instance: the ``data`` of get_job_instance_status.

Pure: a moment in, bytes out. The envelope, the errors and the checks are other
modules' business (``envelope``, ``esb``).
"""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from monitor.simulator.refusal import Refused
from monitor.simulator.story import Flavour
from monitor.simulator.timeline import WAITING, Moment, Row, Step
from monitor.simulator.wording import Wording, is_finished, numbered, step_id

__all__ = ["Wording", "attempt", "data", "date", "lasted", "step_id"]

# bk-job JobContextUtil#getTimeZone: +8 unless a header asks for another.
_ZONE: Final = timezone(timedelta(hours=8))


def data(moment: Moment, wording: Wording) -> bytes:
    """Word *moment*.

    Raises:
        Refused: a row is of a container.
    """
    tree = {
        "is_finished": is_finished(moment.status, wording.flavour),
        "job_instance": _job(moment, wording),
        # One step to a block since 3.3.
        "blocks": [
            _block(step, identifier, wording)
            for step, identifier in numbered(wording.job_instance_id, moment)
        ],
    }
    return wording.encoded(tree)


def _job(moment: Moment, wording: Wording) -> dict[str, Any]:
    return {
        "job_instance_id": wording.job_instance_id,
        "bk_biz_id": wording.biz,
        **_scope(wording),
        "bk_job_id": wording.launch.plan_id,
        "name": wording.name,
        "operator": wording.launch.operator,
        "status": moment.status,
        "start_way": wording.launch.launch_mode,
        **_times(moment, wording),
        "current_step_instance_id": _current_step(moment, wording),
    }


def _scope(wording: Wording) -> dict[str, str]:
    # bk-job EsbAppScopeDTO, since 3.5.
    return wording.scope.fields if wording.flavour is Flavour.MODERN else {}


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
        "operator": wording.launch.operator,
        "status": step.status,
        **attempt(step, wording.flavour),
        **_times(step, wording),
        "step_ip_status": wording.in_order([_row(row) for row in step.rows]),
    }


def attempt(step: Step, flavour: Flavour) -> dict[str, int | None]:
    if flavour is Flavour.DOCUMENT:
        return {"retry_count": step.execute_count}
    # EsbJobInstanceStatusDTO: pause is always null.
    return {"execute_count": step.execute_count, "pause": None}


def _row(row: Row) -> dict[str, Any]:
    if row.host.container is not None:
        raise Refused(1240002)  # as in v3: getHost() of a container is null
    return {
        "ip": row.host.ip,
        "bk_cloud_id": row.host.bk_cloud_id,
        "status": row.status,
    }


def _times(thing: Moment | Step, wording: Wording) -> dict[str, Any]:
    return {
        "create_time": date(0.0, wording),
        "start_time": date(thing.started, wording),
        "end_time": date(thing.ended, wording),
        "total_time": lasted(thing),
    }


def lasted(thing: Moment | Step | Row) -> float | None:
    """Say for how many seconds; v2 has them with three places."""
    if thing.started is None or thing.ended is None:
        return None
    return round(thing.ended - thing.started, 3)


def date(seconds: float | None, wording: Wording) -> str | None:
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(wording.epoch + seconds, UTC).astimezone(_ZONE)
    # yyyy-MM-dd HH:mm:ss without offset since 3.3; the document's example has one.
    offset = " %z" if wording.flavour is Flavour.DOCUMENT else ""
    return moment.strftime(f"%Y-%m-%d %H:%M:%S{offset}")
