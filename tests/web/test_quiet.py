"""When to be quiet, said to a running daemon."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support import control
from tests.test_service import (
    FAILING,
    FINISHED,
    KEY,
    Site,
    Stage,
    a_site,
    eventually,
    playing,
)

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

AFTER_ALL = "2100-01-01T00:00:00Z"
SILENCE = {"matchers": ['team="sre"'], "ends_at": AFTER_ALL, "author": "alice"}


@asynccontextmanager
async def a_job(tmp_path: Path) -> AsyncIterator[tuple[Site, Path]]:
    """Give a site on which a job is about to fail, and the daemon's socket."""
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        yield site, tmp_path / "m.sock"


async def reason(socket: Path) -> str | None:
    answer = await control.ask(socket, "GET", "/explain", params={"of": KEY})
    for group in answer.body.get("groups", []):
        for verdict in group["verdicts"]:
            return str(verdict["sinks"][0]["reason"])
    return None


async def decided(socket: Path, wanted: str) -> None:
    """Wait until that is what was decided last."""
    while await reason(socket) != wanted:
        continue


async def failing(site: Site, stage: Stage) -> None:
    site.second = FAILING
    await stage.tells("hosts.failed")


def said(stage: Stage) -> list[str]:
    read: list[dict[str, Any]] = [
        msgspec.json.decode(m.data) for m in stage.notifications
    ]
    return [each["reason"] for each in read]


async def test_a_silence_holds_through_a_reload_and_a_restart_until_it_is_ended(
    tmp_path: Path,
) -> None:
    async with a_job(tmp_path) as (site, socket):
        async with playing(site) as first:
            await first.tells("instance.appeared")
            made = await control.ask(socket, "POST", "/silences", json=SILENCE)
            await failing(site, first)
            await decided(socket, "silenced")
            site.more["alerts"] = {"repeat_interval": "1h"}
            await control.reload(socket)
            reloaded = await control.ask(socket, "GET", "/silences")
        async with playing(site) as second:
            await eventually(socket.exists)
            one = f"/silences/{made.body['id']}"
            restarted = await control.ask(socket, "GET", one)
            ended = await control.ask(socket, "DELETE", one)
            await eventually(lambda: second.notifications)

    assert reloaded.body["items"] == [made.body]
    assert restarted.body == made.body
    assert ended.body["state"] == "expired"
    assert first.notifications == []
    assert said(second) == ["first"]


async def test_an_acknowledgement_holds_through_a_restart_and_ends_with_the_incident(
    tmp_path: Path,
) -> None:
    async with a_job(tmp_path) as (site, socket):
        async with playing(site) as first:
            await failing(site, first)
            await eventually(lambda: first.notifications)
            body = {"of": "2/20000153", "author": "alice"}
            made = await control.ask(socket, "POST", "/acks", json=body)
            await decided(socket, "acknowledged")
        async with playing(site) as second:
            await eventually(socket.exists)
            restarted = await control.ask(socket, "GET", "/acks")
            site.list.write_text("")
            while (await control.ask(socket, "GET", "/acks")).body["items"]:
                continue

    assert restarted.body["items"] == made.body["acks"]
    assert second.notifications == []


async def test_a_window_of_the_file_goes_with_it(tmp_path: Path) -> None:
    window = {"name": "always", "match": ['team="sre"']}
    async with a_job(tmp_path) as (site, socket):
        site.more["maintenance"] = [window]
        async with playing(site) as stage:
            await failing(site, stage)
            await decided(socket, "maintenance")
            body = {"name": "always", "matchers": ["a=b"], "ends_at": AFTER_ALL}
            clash = await control.ask(socket, "POST", "/maintenance", json=body)
            kept = await control.ask(socket, "DELETE", "/maintenance/always")
            before = list(stage.notifications)
            site.more.clear()
            site.second = FINISHED
            await control.reload(socket)
            await eventually(lambda: stage.notifications)

    assert (clash.status, kept.status) == (409, 409)
    assert before == []
    assert said(stage)[0] == "first"
