"""All that can be asked of JOB here: where, how, and who answers.

The table is the whole of the public surface; ``server`` routes by it and the
record counts by its paths.
"""

from collections.abc import Callable
from itertools import chain
from typing import Final

import msgspec

from monitor.simulator import groups, listing, logs, status
from monitor.simulator.answer import Answer
from monitor.simulator.envelope import Door, Generation, Told
from monitor.simulator.question import Question
from monitor.simulator.world import World

Tell = Callable[[World, Question], Told | Answer]

_BUS: Final = "/api/c/compapi"
GATEWAY: Final = "/api/bk-job/prod"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """*component* is what the bus calls it in its messages."""

    path: str
    tell: Tell
    door: Door
    generation: Generation
    methods: tuple[str, ...] = ("GET",)
    system: bool = False
    component: str = ""


def _on_bus(component: str, tell: Tell, generation: Generation) -> Endpoint:
    # legacy-bk-paas confapis/job/job.yaml and bk-job jobv3-confapis: GET and POST.
    return Endpoint(
        path=_BUS + component,
        tell=tell,
        door=Door.ESB,
        generation=generation,
        methods=("GET", "POST"),
        component=component,
    )


def _on_gateway(
    name: str, tell: Tell, method: str, generation: Generation
) -> tuple[Endpoint, Endpoint]:
    """Put the resource up twice, for users and for apps (bk-job resources.yaml)."""
    users, apps = (
        Endpoint(
            path=f"{GATEWAY}/api/{generation}/{prefix}{name}",
            tell=tell,
            door=Door.GATEWAY,
            generation=generation,
            methods=(method,),
            system=bool(prefix),
        )
        for prefix in ("", "system/")
    )
    return users, apps


STATUS_V2: Final = _on_bus(
    "/v2/job/get_job_instance_status/", status.in_v2, Generation.V2
)

_V3: Final[tuple[tuple[str, Tell, str], ...]] = (
    ("get_job_instance_status", status.in_v3, "GET"),
    ("get_job_instance_list", listing.in_v3, "GET"),
    ("get_step_instance_status", groups.in_v3, "GET"),
    ("get_job_instance_ip_log", logs.of_one_in_v3, "GET"),
    ("batch_get_job_instance_ip_log", logs.of_many_in_v3, "POST"),
)
_V4: Final[tuple[tuple[str, Tell, str], ...]] = (
    ("get_job_instance_status", status.in_v4, "GET"),
    ("get_job_instance_list", listing.in_v4, "GET"),
    ("batch_get_job_instance_execute_object_log", logs.of_many_in_v4, "POST"),
)

ALL: Final = (
    STATUS_V2,
    _on_bus("/v2/job/get_job_instance_log/", logs.in_v2, Generation.V2),
    *(_on_bus(f"/v2/jobv3/{name}/", tell, Generation.V3) for name, tell, _ in _V3),
    *chain.from_iterable(_on_gateway(*each, Generation.V3) for each in _V3),
    *chain.from_iterable(_on_gateway(*each, Generation.V4) for each in _V4),
)
