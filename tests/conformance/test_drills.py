"""Long troubles of a source, through every generation of the API, in virtual time."""

from pathlib import Path

import anyio
import pytest

from monitor.job.ask import Api
from monitor.simulator.credentials import Credentials
from monitor.simulator.faults import Fault, Name
from monitor.simulator.quota import Quota
from monitor.simulator.scenarios import Parts
from tests.conformance import daemon
from tests.conformance.course import APIS
from tests.support import worlds

pytestmark = [pytest.mark.looptime, pytest.mark.timeout(120)]

HOUR = 3600.0


@pytest.mark.parametrize("api", APIS)
async def test_an_hour_of_outage_then_throttles_then_recovery_is_one_alert_and_its_end(
    api: Api, tmp_path: Path
) -> None:
    world = worlds.this_morning()
    for scenario in ("hang", "success", "one_ip_fails") * 5:
        world.play(scenario, parts=Parts(beat=2 * HOUR))
    async with daemon.running(api, world, tmp_path) as heard:
        await anyio.sleep(60)
        before = [*heard.events]
        world.switch(
            [
                Fault(name=Name.SERVER_ERROR, value="502", until=HOUR / 2),
                Fault(name=Name.HTML, value="502", after=HOUR / 2, until=HOUR),
                Fault(name=Name.THROTTLE, after=HOUR, until=HOUR + 600),
            ]
        )
        await anyio.sleep(HOUR + 600)
        during = heard.events[len(before) :]
        await anyio.sleep(600)
        after = heard.events[len(before) + len(during) :]

    assert before == ["instance.appeared"] * 15
    assert during == ["source.lost", "alert.raised"]
    assert after == ["source.restored", "alert.resolved"]
    assert heard.notifications == ["prod first", "prod resolved"]


@pytest.mark.parametrize("api", APIS)
async def test_expired_credentials_pause_the_source_and_are_read_anew_from_their_file(
    api: Api, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("old-token")
    world = worlds.this_morning(credentials=Credentials(access_token="old-token"))
    world.play("success", parts=Parts(beat=2 * HOUR))
    who = {"access_token": None, "access_token_file": str(token)}
    async with daemon.running(api, world, tmp_path, source=who) as heard:
        await anyio.sleep(60)
        world.credentials = Credentials(access_token="new-token")
        await anyio.sleep(HOUR)
        asked = world.record.total
        token.write_text("new-token")
        await anyio.sleep(120)

    assert heard.events == [
        "instance.appeared",
        "source.lost",
        "alert.raised",
        "source.restored",
        "alert.resolved",
    ]
    assert heard.notifications == ["prod first", "prod resolved"]
    assert asked < 60 + HOUR / 20


@pytest.mark.parametrize(
    ("api", "quota"),
    [
        ("esb-v2", Quota(limit=8)),
        ("esb-v3", Quota(limit=480, window=60.0)),
        ("gateway-v4", Quota(limit=480, window=60.0)),
    ],
)
async def test_a_quota_shared_by_many_watches_is_kept_and_shared_evenly(
    api: Api, quota: Quota, tmp_path: Path
) -> None:
    world = worlds.this_morning(quota=quota)
    for _ in range(800):
        world.play("hang", parts=Parts(beat=HOUR))
    polling = {"early_failures": "0s", "sweep": "off"}
    async with daemon.running(api, world, tmp_path, polling=polling) as heard:
        before, refused = world.record.total, world.record.throttled
        await anyio.sleep(600)
        asked = world.record.total - before
        refused = world.record.throttled - refused

    looks = world.record.instances.values()
    assert set(heard.events) == {"instance.appeared"}
    assert heard.notifications == []
    assert refused <= 0.01 * asked
    assert asked >= 0.75 * 8 * 600
    assert max(looks) - min(looks) <= 2
