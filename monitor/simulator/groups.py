"""The endpoint get_step_instance_status of v3: the hosts of one step, in groups.

The only answer whose size a client can bound: a group for each status and tag,
with the number of its hosts and the first few of them.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

from monitor.simulator import output
from monitor.simulator.asked import asked, step_asked
from monitor.simulator.envelope import Generation, Told
from monitor.simulator.instance import Instance
from monitor.simulator.question import Question
from monitor.simulator.refusal import Refused
from monitor.simulator.story import Story
from monitor.simulator.timeline import CONFIRM, Row, Step
from monitor.simulator.wording import Wording, numbered, times
from monitor.simulator.world import World

# bk-job ExecuteObjectTaskStatusEnum, the commoner ones; a sense, not the letter.
_DESCRIPTIONS: Final = {
    5: "Waiting",
    7: "Running",
    9: "Success",
    11: "Failed",
    18: "Agent not installed",
    102: "Script timeout",
    104: "Script exit code is not zero",
    310: "Agent error",
    403: "Terminated",
}


def in_v3(world: World, question: Question) -> Told:
    instance = asked(world, question, Generation.V3)
    step, identifier = step_asked(world, instance, question)
    if step.kind == CONFIRM:
        raise Refused(1241003)
    words = world.wording(instance)
    step = _attempt(world, instance, step, question, identifier)
    rows = [row for row in step.rows if _fits(step, row, question)]
    said: dict[str, Any] = {
        "step_instance_id": identifier,
        "execute_count": step.execute_count,
        "name": step.name,
        "type": step.kind,
        "status": step.status,
        "create_time": words.epoch_ms(0.0),
        **times(step, words),
    }
    if groups := _groups(_batch(rows, question), question, words):
        # EsbStepInstanceStatusV3DTO: left out when empty.
        said["step_result_group_list"] = groups
    return Told(data=words.encoded(said), stringly=words.stringly)


def _attempt(
    world: World, instance: Instance, step: Step, question: Question, identifier: int
) -> Step:
    """Take the step as it last was in the attempt that is asked for."""
    wanted = question.number("execute_count")
    if wanted is None or wanted == step.execute_count:
        return step
    if isinstance(instance.story, Story):
        elapsed = world.now() - instance.began
        for frame in reversed(instance.story.timeline.until(elapsed)):
            for old, known in numbered(instance.job_instance_id, frame.moment):
                if (known, old.execute_count) == (identifier, wanted):
                    return old
    raise Refused(1244007)


def _fits(step: Step, row: Row, question: Question) -> bool:
    ip, keyword = question.text("search_ip"), question.text("keyword")
    addresses = (row.host.ip or "", row.host.ipv6 or "")
    return (not ip or any(ip in address for address in addresses)) and (
        not keyword or keyword in (output.text(step, row) or "")
    )


def _batch(rows: Sequence[Row], question: Question) -> Sequence[Row]:
    """Keep one batch; unless one is named, of a rolling step the latest; 0 is all."""
    # The document says that naming none means all, the code takes the latest
    # (EsbGetStepInstanceStatusV3ResourceImpl).
    latest = max((row.batch for row in rows), default=0)
    named = question.number("batch")
    wanted = latest if named is None else named
    return [row for row in rows if row.batch == wanted] if wanted else rows


def _groups(
    rows: Iterable[Row], question: Question, words: Wording
) -> list[dict[str, Any]]:
    ordered = sorted(rows, key=_class)
    return [
        _group(status, tag, list(group), question, words)
        for (status, tag), group in groupby(ordered, key=_class)
    ]


def _class(row: Row) -> tuple[int, str]:
    return row.status, row.tag


def _group(
    status: int, tag: str, rows: list[Row], question: Question, words: Wording
) -> dict[str, Any]:
    hosts = None
    if _is_opened(status, tag, question):
        most = question.number("max_host_num_per_group")
        hosts = [_host(row, words) for row in (rows if most is None else rows[:most])]
    return {
        "result_type": status,
        "result_type_desc": _description(status),
        "tag": tag,
        "host_size": len(rows),
        "host_result_list": hosts,
    }


def _is_opened(status: int, tag: str, question: Question) -> bool:
    """Say whether the hosts are listed: with a status or tag named, of those alone."""
    return question.text("status") in {"", str(status)} and question.text("tag") in {
        "",
        tag,
    }


def _description(status: int) -> str:
    return _DESCRIPTIONS.get(status, f"Status {status}")


def _host(row: Row, words: Wording) -> dict[str, Any]:
    if row.host.container is not None:
        raise Refused(1240002)
    return {
        "bk_host_id": row.host.bk_host_id,
        "ip": row.host.ip,
        "ipv6": row.host.ipv6,
        "bk_agent_id": f"{row.host.bk_cloud_id}:{row.host.bk_host_id}",
        "bk_cloud_id": row.host.bk_cloud_id,
        "bk_cloud_name": "Default Area" if row.host.bk_cloud_id == 0 else "Area",
        "status": row.status,
        "status_desc": _description(row.status),
        "tag": row.tag,
        "exit_code": row.exit,
        **times(row, words),
    }
