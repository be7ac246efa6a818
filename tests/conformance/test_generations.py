"""The same stories through every generation of the API: the same transitions.

The stories are the simulator's, which reads the same facts independently; what must
be recorded of each is written out here once, for all generations.
"""

from pathlib import Path
from typing import Final

import pytest

from monitor.job.ask import Api
from monitor.simulator import scenarios
from monitor.simulator.scenarios import Parts
from tests.conformance import course
from tests.conformance.course import APIS

pytestmark = pytest.mark.looptime

BEGIN: Final = """
    instance.appeared None→1
    instance.changed 1→2
    hosts.changed step 1.0 5×5
    step.changed step 1.0 1→2
    hosts.changed step 1.0 5×7
"""

COURSES: Final = {
    "success": BEGIN
    + """
    hosts.changed step 1.0 2×7,3×9
    instance.finished 2→3
    step.changed step 1.0 2→3
    hosts.changed step 1.0 5×9
    """,
    "one_ip_fails": BEGIN
    + """
    hosts.failed step 1.0 10.0.0.5=104
    hosts.changed step 1.0 2×7,2×9,1×104
    alert.raised hosts_failed
    instance.finished 2→4
    step.changed step 1.0 2→4
    hosts.changed step 1.0 4×9,1×104
    alert.raised job_failed
    """,
    "mixed_failure": BEGIN
    + """
    hosts.failed step 1.0 10.0.0.3=104,10.0.0.4=310,10.0.0.5=11
    hosts.changed step 1.0 1×7,1×9,1×11,1×104,1×310
    alert.raised hosts_failed
    instance.finished 2→4
    step.changed step 1.0 2→4
    hosts.changed step 1.0 2×9,1×11,1×104,1×310
    alert.raised job_failed
    """,
    "retry_recovers": BEGIN
    + """
    hosts.failed step 1.0 10.0.0.5=104
    hosts.changed step 1.0 2×7,2×9,1×104
    alert.raised hosts_failed
    instance.finished 2→4
    step.changed step 1.0 2→4
    hosts.changed step 1.0 4×9,1×104
    alert.raised job_failed
    instance.reopened 4→2
    step.retried step 1.1 4→4
    step.changed step 1.1 4→2
    hosts.changed step 1.1 1×5,4×9
    hosts.changed step 1.1 1×7,4×9
    instance.finished 2→3
    step.changed step 1.1 2→3
    hosts.recovered step 1.1 10.0.0.5=9
    alert.resolved hosts_failed
    alert.resolved job_failed
    """,
    "ignore_error": BEGIN
    + """
    hosts.failed step 1.0 10.0.0.5=104
    hosts.changed step 1.0 2×7,2×9,1×104
    alert.raised hosts_failed
    step.changed step 1.0 2→6
    hosts.changed step 1.0 4×9,1×104
    step.changed step 2.0 1→2
    hosts.changed step 2.0 5×7
    alert.changed hosts_failed
    instance.finished 2→3
    step.changed step 2.0 2→3
    hosts.changed step 2.0 5×9
    """,
    "manual_confirm": BEGIN
    + """
    hosts.changed step 1.0 2×7,3×9
    instance.changed 2→7
    step.changed step 1.0 2→3
    hosts.changed step 1.0 5×9
    step.changed step 2.0 1→7
    alert.raised job_waiting
    instance.finished 7→13
    step.changed step 2.0 7→13
    alert.raised job_failed
    alert.resolved job_waiting
    instance.reopened 13→7
    step.changed step 2.0 13→7
    alert.raised job_waiting
    instance.finished 7→3
    step.changed step 2.0 7→3
    alert.resolved job_failed
    alert.resolved job_waiting
    """,
    "force_stop": BEGIN
    + """
    instance.changed 2→10
    step.changed step 1.0 2→10
    hosts.changed step 1.0 1×5,4×7
    instance.finished 10→11
    step.changed step 1.0 10→11
    hosts.failed step 1.0 10.0.0.1=403,10.0.0.2=403,10.0.0.3=403,10.0.0.4=403
    alert.raised hosts_failed
    alert.raised job_failed
    alert.raised hosts_unfinished
    """,
    "abnormal": BEGIN
    + """
    hosts.changed step 1.0 2×7,3×9
    instance.finished 2→9
    step.changed step 1.0 2→9
    alert.raised job_failed
    alert.raised hosts_unfinished
    """,
    "rolling_duplicates": BEGIN
    + """
    hosts.failed step 1.0 10.0.0.1=11
    hosts.changed step 1.0 2×7,2×9,1×11
    alert.raised hosts_failed
    instance.finished 2→4
    step.changed step 1.0 2→4
    hosts.changed step 1.0 4×9,1×11
    alert.raised job_failed
    """,
    "rolling": """
    instance.appeared None→1
    instance.changed 1→2
    step.changed step 1.0 1→2
    hosts.changed step 1.0 2×7
    step.changed step 1.0 2→15
    hosts.changed step 1.0 2×9
    step.changed step 1.0 15→2
    hosts.changed step 1.0 2×7,2×9
    step.changed step 1.0 2→15
    hosts.changed step 1.0 4×9
    step.changed step 1.0 15→2
    hosts.changed step 1.0 1×7,4×9
    instance.finished 2→3
    step.changed step 1.0 2→3
    hosts.changed step 1.0 5×9
    """,
    "rolling_ignore": """
    instance.appeared None→1
    instance.changed 1→2
    step.changed step 1.0 1→2
    hosts.changed step 1.0 2×7
    step.changed step 1.0 2→6
    hosts.failed step 1.0 10.0.0.1=104
    hosts.changed step 1.0 1×9,1×104
    alert.raised hosts_failed
    step.changed step 1.0 6→15
    step.changed step 1.0 15→2
    hosts.changed step 1.0 2×7,1×9,1×104
    step.changed step 1.0 2→15
    hosts.changed step 1.0 3×9,1×104
    step.changed step 1.0 15→2
    hosts.changed step 1.0 1×7,3×9,1×104
    instance.finished 2→3
    step.changed step 1.0 2→6
    hosts.changed step 1.0 4×9,1×104
    """,
    "archived": BEGIN
    + """
    hosts.changed step 1.0 2×7,3×9
    instance.finished 2→3
    step.changed step 1.0 2→3
    hosts.changed step 1.0 5×9
    instance.gone
    alert.raised job_gone
    """,
}

SAME_AS: Final = {
    "shuffled": "mixed_failure",
    "stringly": "one_ip_fails",
}
"""Another manner of telling the same course."""

FOUL: Final = ("flapping_internal_error", "html_502", "throttled")
"""Stories with foul weather: some of the way may be missed, no more."""


def lines(written: str) -> list[str]:
    return [line.strip() for line in written.split("\n") if line.strip()]


@pytest.mark.parametrize("scenario", [*COURSES, *SAME_AS])
@pytest.mark.parametrize("api", APIS)
async def test_every_generation_tells_the_same_course(
    api: Api, scenario: str, tmp_path: Path
) -> None:
    expected = lines(COURSES[SAME_AS.get(scenario, scenario)])

    assert await course.recorded(api, scenario, tmp_path) == expected


@pytest.mark.parametrize("scenario", [*COURSES])
@pytest.mark.parametrize("api", APIS)
async def test_without_early_failures_the_job_and_its_steps_tell_the_same(
    api: Api, scenario: str, tmp_path: Path
) -> None:
    def without_hosts(told: list[str]) -> list[str]:
        return [line for line in told if line.startswith(("instance.", "step."))]

    told = await course.recorded(api, scenario, tmp_path, early=0.0)

    assert without_hosts(told) == without_hosts(lines(COURSES[scenario]))


@pytest.mark.parametrize("scenario", FOUL)
@pytest.mark.parametrize("api", APIS)
async def test_foul_weather_invents_nothing(
    api: Api, scenario: str, tmp_path: Path
) -> None:
    told = await course.recorded(api, scenario, tmp_path)

    fair = COURSES["success" if scenario == "html_502" else "one_ip_fails"]
    ends = {"success": "2→3", "one_ip_fails": "2→4"}
    invented = [
        line
        for line in told
        if line.startswith(("instance.", "hosts.failed", "hosts.recovered", "alert."))
        and line not in lines(fair)
    ]
    assert invented == []
    assert (
        f"instance.finished {ends['success' if scenario == 'html_502' else 'one_ip_fails']}"
        in told
    )


async def test_containers_are_seen_through_v4(tmp_path: Path) -> None:
    told = await course.recorded("gateway-v4", "containers", tmp_path)

    assert "hosts.failed step 1.0 None=104" in told
    assert told[-4] == "instance.finished 2→4"


@pytest.mark.parametrize("api", ["esb-v3", "gateway-v3"])
async def test_a_job_in_containers_is_seen_through_v3_without_them(
    api: Api, tmp_path: Path
) -> None:
    slow = Parts(beat=20)
    told = await course.recorded(api, "containers", tmp_path, parts=slow, seconds=140)

    assert [line for line in told if line.startswith("instance.")] == [
        "instance.appeared None→1",
        "instance.changed 1→2",
        "instance.finished 2→4",
    ]
    assert not any(line.startswith("source.") for line in told)


@pytest.mark.parametrize(
    ("api", "shown"),
    [("esb-v2", "None"), ("gateway-v3", "None"), ("gateway-v4", "2001:db8::5")],
)
async def test_a_host_without_ipv4_fails_and_is_told(
    api: Api, shown: str, tmp_path: Path
) -> None:
    told = await course.recorded(api, "ipv6", tmp_path)

    assert f"hosts.failed step 1.0 {shown}=104" in told


def test_every_scenario_is_watched_in_all_generations() -> None:
    elsewhere = {"containers", "ipv6", "huge", "hang", "legacy_waiting"}

    assert scenarios.CATALOGUE.keys() == {*COURSES, *SAME_AS, *FOUL, *elsewhere}
