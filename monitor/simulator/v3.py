"""How the v3 API words an instance, over the bus and through the gateway alike.

Pure: a moment in, bytes out. Nulls stay (bk-job EsbJobInstanceStatusV3DTO).
"""

from typing import Any

from monitor.simulator.refusal import Refused
from monitor.simulator.story import Flavour
from monitor.simulator.timeline import CONFIRM, Moment, Row, Step
from monitor.simulator.wording import Wording, is_finished, numbered, times


def data(moment: Moment, wording: Wording, *, rows: bool) -> bytes:
    """Word *moment*, with the rows of hosts if they were asked for.

    Raises:
        Refused: a row is of a container.
    """
    tree = {
        "finished": is_finished(moment.status, wording.flavour),
        "job_instance": _job(moment, wording),
        "step_instance_list": [
            _step(step, identifier, wording, rows=rows)
            for step, identifier in numbered(wording.job_instance_id, moment)
        ],
    }
    return wording.encoded(tree)


def scope_fields(wording: Wording) -> dict[str, Any]:
    # bk_biz_id as long as the feature bkBizIdCompatible is on, which it is by
    # default; the scope since 3.5.
    echo = {} if wording.flavour is Flavour.LEGACY else wording.scope.fields
    return {"bk_biz_id": wording.biz, **echo}


def _job(moment: Moment, wording: Wording) -> dict[str, Any]:
    return {
        **scope_fields(wording),
        "job_instance_id": wording.job_instance_id,
        "status": moment.status,
        "name": wording.name,
        "create_time": wording.epoch_ms(0.0),
        **times(moment, wording),
    }


def _step(
    step: Step, identifier: int, wording: Wording, *, rows: bool
) -> dict[str, Any]:
    return {
        "step_instance_id": identifier,
        "name": step.name,
        "status": step.status,
        "type": step.kind,
        "execute_count": step.execute_count,
        "create_time": wording.epoch_ms(0.0),
        **times(step, wording),
        "step_ip_result_list": _rows(step, wording) if rows else None,
    }


def _rows(step: Step, wording: Wording) -> list[dict[str, Any]]:
    rows = () if step.kind == CONFIRM else step.rows
    return wording.in_order([_row(row, wording) for row in rows])


def _row(row: Row, wording: Wording) -> dict[str, Any]:
    if row.host.container is not None:
        # v2 and v3 call getHost() on each object: null for a container
        # (EsbGetJobInstanceStatusV3ResourceImpl).
        raise Refused(1240002)
    # bk_host_id since 3.7; ip is null for a host that has IPv6 only.
    whose = (
        {} if wording.flavour is Flavour.LEGACY else {"bk_host_id": row.host.bk_host_id}
    )
    return {
        **whose,
        "ip": row.host.ip,
        "bk_cloud_id": row.host.bk_cloud_id,
        "status": row.status,
        "tag": row.tag,
        "exit_code": row.exit,
        "error_code": row.error,
        **times(row, wording),
    }
