"""The endpoints for logs: one host, many hosts, or in v2 all that there is.

Logs come whole, for there is neither offset nor size to ask for. Hosts without
any are missing.
"""

import html
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, Final

import msgspec

from monitor.simulator import output, v2
from monitor.simulator.asked import asked, present, step_asked
from monitor.simulator.envelope import Generation, Told
from monitor.simulator.question import Question
from monitor.simulator.refusal import Refused
from monitor.simulator.timeline import Host, Row, Step
from monitor.simulator.v4 import execute_object
from monitor.simulator.wording import Wording, is_finished, numbered
from monitor.simulator.world import World

# bk-job EsbBatchGetJobInstanceIpLogV3ResourceImpl (in code alone) and
# V4BatchGetJobInstanceExecuteObjectLogRequest.
_V3_HOSTS, _V4_HOSTS = 500, 50

_SCRIPT_LOG, _FILE_LOG = 1, 2
_DOWNLOAD: Final = 1

_SOURCE: Final = Host(ip="10.255.0.1", bk_host_id=1)
_SOURCE_PATH, _TARGET_PATH = "/data/release.tar.gz", "/data/app/release.tar.gz"


def in_v2(world: World, question: Question) -> Told:
    """Tell the logs of all hosts of all steps."""
    instance = asked(world, question, Generation.V2)
    moment = present(world, instance)
    words = world.wording(instance)
    steps = [
        {
            "is_finished": is_finished(step.status, words.flavour),
            "step_instance_id": identifier,
            "name": step.name,
            "status": step.status,
            "step_results": _v2_results(step, words),
        }
        for step, identifier in numbered(words.job_instance_id, moment)
    ]
    return Told(data=words.encoded(steps), flavour=words.flavour)


def _v2_results(step: Step, words: Wording) -> list[dict[str, Any]]:
    rows = sorted(step.rows, key=_class)
    return [
        {"ip_status": status, "tag": tag, "ip_logs": _v2_logs(step, group, words)}
        for (status, tag), group in groupby(rows, key=_class)
    ]


def _class(row: Row) -> tuple[int, str]:
    return row.status, row.tag


def _v2_logs(step: Step, rows: Iterable[Row], words: Wording) -> list[dict[str, Any]]:
    return [_v2_log(step, row, words) for row in rows]


def _v2_log(step: Step, row: Row, words: Wording) -> dict[str, Any]:
    if row.host.container is not None:
        raise Refused(1240002)
    return {
        "ip": row.host.ip,
        "bk_cloud_id": row.host.bk_cloud_id,
        "start_time": v2.date(row.started, words),
        "end_time": v2.date(row.ended, words),
        "total_time": v2.lasted(row),
        **v2.attempt(step, words.flavour),
        "error_code": row.error,
        "exit_code": row.exit,
        # EsbGetJobInstanceLogResourceImpl escapes it for HTML.
        "log_content": html.escape(output.text(step, row) or ""),
    }


def of_one_in_v3(world: World, question: Question) -> Told:
    """Tell the log of one host, by bk_host_id or by bk_cloud_id and ip."""
    instance = asked(world, question, Generation.V3)
    step, _ = step_asked(world, instance, question)
    wanted = _one_wanted(question)
    row = next((row for row in _latest(step) if wanted(row.host)), None)
    said: dict[str, Any] = {"log_type": _log_type(step)}
    if row is not None:
        said |= _v3_log(step, row)
    return Told(data=msgspec.json.encode(said))


def _one_wanted(question: Question) -> Callable[[Host], bool]:
    identifier = question.number("bk_host_id")
    if identifier is not None:
        return lambda host: host.bk_host_id == identifier
    area, ip = question.number("bk_cloud_id"), question.text("ip")
    if area is None or not ip:
        raise Refused(1241007)
    return lambda host: (host.bk_cloud_id, host.ip) == (area, ip)


def of_many_in_v3(world: World, question: Question) -> Told:
    instance = asked(world, question, Generation.V3)
    wanted = _wanted(question, _V3_HOSTS, ("host_id_list", "ip_list"))
    step, identifier = step_asked(world, instance, question)
    logs = [
        {**_v3_log(step, row), "ipv6": row.host.ipv6}
        for row in _latest(step)
        if wanted(row.host) and output.text(step, row) is not None
    ]
    name = "file_task_logs" if output.is_of_files(step) else "script_task_logs"
    said = {
        "job_instance_id": instance.job_instance_id,
        "step_instance_id": identifier,
        "log_type": _log_type(step),
        name: logs,
    }
    return Told(data=msgspec.json.encode(said))


def _v3_log(step: Step, row: Row) -> dict[str, Any]:
    if row.host.container is not None:
        raise Refused(1240002)
    whose = {
        "bk_host_id": row.host.bk_host_id,
        "bk_cloud_id": row.host.bk_cloud_id,
        "ip": row.host.ip,
    }
    if not output.is_of_files(step):
        return {**whose, "log_content": output.text(step, row)}
    ends = {
        "src_ip": _v3_host(_SOURCE),
        "src_path": _SOURCE_PATH,
        "dest_ip": _v3_host(row.host),
        "dest_path": _TARGET_PATH,
    }
    return {**whose, "file_logs": [{**ends, **_transfer(step, row)}]}


def _v3_host(host: Host) -> dict[str, Any]:
    return {
        "bk_host_id": host.bk_host_id,
        "bk_cloud_id": host.bk_cloud_id,
        "ip": host.ip,
    }


def of_many_in_v4(world: World, question: Question) -> Told:
    instance = asked(world, question, Generation.V4)
    lists = ("host_id_list", "ip_list", "container_id_list")
    wanted = _wanted(question, _V4_HOSTS, lists)
    step, identifier = step_asked(world, instance, question)
    logs = [
        {"execute_object": execute_object(row.host), **_v4_log(step, row)}
        for row in _latest(step)
        if wanted(row.host) and output.text(step, row) is not None
    ]
    kind = "file" if output.is_of_files(step) else "script"
    said = {
        "job_instance_id": instance.job_instance_id,
        "step_instance_id": identifier,
        "log_type": _log_type(step),
        f"{kind}_step_execute_object_logs": logs,
    }
    return Told(data=msgspec.json.encode(said))


def _v4_log(step: Step, row: Row) -> dict[str, Any]:
    if not output.is_of_files(step):
        return {"log_content": output.text(step, row)}
    ends = {
        "src_execute_object": execute_object(_SOURCE),
        "src_path": _SOURCE_PATH,
        "dest_execute_object": execute_object(row.host),
        "dest_path": _TARGET_PATH,
    }
    return {"download_log": [{**ends, **_transfer(step, row)}]}


def _transfer(step: Step, row: Row) -> dict[str, Any]:
    status, process = output.transfer(row)
    return {
        "mode": _DOWNLOAD,
        "status": status,
        "log_content": output.text(step, row),
        "size": "9.0 MB",
        "speed": "1 MB/s",
        "process": process,
    }


def _log_type(step: Step) -> int:
    return _FILE_LOG if output.is_of_files(step) else _SCRIPT_LOG


def _latest(step: Step) -> Iterable[Row]:
    """Take one row for each target: of several batches the last."""
    return {row.host.address: row for row in step.rows}.values()


_NAMED: Final[Mapping[str, Callable[[Host], Any]]] = {
    "host_id_list": lambda host: None if host.container else host.bk_host_id,
    "ip_list": lambda host: None if host.container else (host.bk_cloud_id, host.ip),
    "container_id_list": lambda host: host.container and host.container.id,
}


def _wanted(
    question: Question, most: int, lists: Iterable[str]
) -> Callable[[Host], bool]:
    """Read the first of *lists* that names anybody.

    Raises:
        Refused: nobody is named, or more than *most*.
    """
    for name in lists:
        listed = question.parameters.get(name)
        if isinstance(listed, list) and listed:
            if len(listed) > most:
                raise Refused(1241007)
            names, of = {_name(each) for each in listed}, _NAMED[name]
            return lambda host: of(host) in names
    raise Refused(1241007)


def _name(written: Any) -> Any:
    try:
        if isinstance(written, dict):
            return int(written["bk_cloud_id"]), written["ip"]
        return int(written)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(1241007) from error
