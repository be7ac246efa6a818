"""How the v4 API words an instance: hosts and containers as execute objects.

Pure: a moment in, bytes out. Nulls are left out everywhere
(bk-job EsbV4Jackson2HttpMessageConverter).
"""

from typing import Any

from monitor.simulator.timeline import CONFIRM, Container, Host, Moment, Row, Step
from monitor.simulator.wording import Wording, is_finished, numbered, times


def data(moment: Moment, wording: Wording, *, rows: bool) -> bytes:
    tree = {
        "finished": is_finished(moment.status, wording.flavour),
        "job_instance": _job(moment, wording),
        "step_instance_list": [
            _step(step, identifier, wording, rows=rows)
            for step, identifier in numbered(wording.job_instance_id, moment)
        ],
    }
    return wording.encoded(tree)


def without_nulls(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if value is not None}


def _job(moment: Moment, wording: Wording) -> dict[str, Any]:
    said = {
        "bk_biz_id": wording.biz,
        **wording.scope.fields,
        "job_instance_id": wording.job_instance_id,
        "status": moment.status,
        "name": wording.name,
        "create_time": wording.epoch_ms(0.0),
        **times(moment, wording),
    }
    return without_nulls(said)


def _step(
    step: Step, identifier: int, wording: Wording, *, rows: bool
) -> dict[str, Any]:
    said = {
        "step_instance_id": identifier,
        "name": step.name,
        "status": step.status,
        "type": step.kind,
        "execute_count": step.execute_count,
        "create_time": wording.epoch_ms(0.0),
        **times(step, wording),
        "step_execute_object_result_list": _rows(step, wording) if rows else None,
    }
    return without_nulls(said)


def _rows(step: Step, wording: Wording) -> list[dict[str, Any]] | None:
    # A step that is not begun, or asks a person, has no rows: the key is absent.
    if step.kind == CONFIRM or not step.rows:
        return None
    return wording.in_order([_row(row, wording) for row in step.rows])


def _row(row: Row, wording: Wording) -> dict[str, Any]:
    # No error_code: the v4 document shows one, V4JobInstanceStatusResp has none.
    said = {
        "execute_object": execute_object(row.host),
        "status": row.status,
        "tag": row.tag,
        "exit_code": row.exit,
        **times(row, wording),
    }
    return without_nulls(said)


def execute_object(target: Host) -> dict[str, Any]:
    """Name *target*: type 1 is a host, 2 a container; resource_id is a string."""
    if target.container is not None:
        return _container(target.container, target)
    host = {
        "bk_host_id": target.bk_host_id,
        "bk_cloud_id": target.bk_cloud_id,
        "ip": target.ip,
        "ipv6": target.ipv6,
    }
    return {
        "type": 1,
        "resource_id": str(target.bk_host_id),
        "host": without_nulls(host),
    }


def _container(container: Container, node: Host) -> dict[str, Any]:
    return {
        "type": 2,
        "resource_id": str(container.id),
        "container": {
            "id": container.id,
            "container_id": container.container_id,
            "name": container.name,
            "node_host_id": node.bk_host_id,
        },
    }
