"""Every way to ask JOB, without a socket: the same question at each door."""

from typing import Any, Final

import msgspec

from monitor.simulator import endpoints, esb, gateway
from monitor.simulator.answer import Answer
from monitor.simulator.endpoints import GATEWAY, Endpoint
from monitor.simulator.envelope import Door
from monitor.simulator.question import Question
from monitor.simulator.world import World

BY_PATH: Final = {endpoint.path: endpoint for endpoint in endpoints.ALL}

ESB_V2: Final = esb.STATUS
ESB_V3: Final = "/api/c/compapi/v2/jobv3/get_job_instance_status/"
GATEWAY_V3: Final = f"{GATEWAY}/api/v3/get_job_instance_status"
GATEWAY_V4: Final = f"{GATEWAY}/api/v4/get_job_instance_status"
SYSTEM_V3: Final = f"{GATEWAY}/api/v3/system/get_job_instance_status"
SYSTEM_V4: Final = f"{GATEWAY}/api/v4/system/get_job_instance_status"

STATUSES: Final = (ESB_V2, ESB_V3, GATEWAY_V3, GATEWAY_V4)


class HandMovedClock:
    def __init__(self) -> None:
        self.reading = 1000.0

    def __call__(self) -> float:
        return self.reading


def ask(world: World, path: str, question: Question) -> Answer:
    endpoint: Endpoint = BY_PATH[path]
    answer = esb.answer if endpoint.door is Door.ESB else gateway.answer
    return answer(world, question, endpoint)


def about(identifier: object = 7, biz: object = 2, **more: Any) -> Question:
    """Ask about an instance of a business, and for all of its rows."""
    named = {"bk_scope_type": "biz", "bk_scope_id": str(biz)}
    rows = {"return_ip_result": "true", "return_execute_object_result": "true"}
    return Question(
        parameters={**named, "job_instance_id": identifier, **rows, **more},
        username="admin",
    )


def said(answer: Answer) -> Any:
    return msgspec.json.decode(answer.body)


def refusal(answer: Answer) -> tuple[int, int]:
    """Show the status line and JOB's, the bus's or the gateway's number."""
    told = said(answer)
    if "error" in told:
        return answer.status, int(told["error"]["details"][0]["code"])
    assert told["result"] is False
    return answer.status, told["code"]
