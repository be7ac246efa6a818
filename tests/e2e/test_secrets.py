"""No secret in anything that the daemon writes, stores or sends, whatever others do.

The canaries hold characters that JSON, URLs and headers each write in their own
way; what is searched for is the part that they all leave as it is.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from monitor.simulator.faults import Fault, Name
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e.daemon import running
from tests.e2e.receiver import SECRET, Delivery, Receiver, listening, receiving
from tests.e2e.site import Site
from tests.support import worlds

APP: Final = 'c4nary-app"&/ x'
TOKEN: Final = "c4nary-token\\'<%"
HEADER: Final = 'c4nary-header"\\'
PATH: Final = "c4nary-path"

AT_ONCE: Final = Parts(beat=0.001)

CANARIES: Final = (
    "c4nary-app",
    "c4nary-token",
    "c4nary-header",
    "c4nary-path",
    SECRET.removeprefix("whsec_"),
)


def a_site(directory: Path, url: str, receiver: Receiver, where: str) -> Site:
    """Hide the canaries where secrets are kept."""
    (directory / "app_secret").write_text(f"{APP}\n")
    (directory / "token").write_text(TOKEN)
    (directory / "hook").write_text(f"{SECRET}\n")
    (directory / "headers").write_text(f"X-Token: {HEADER}\n")
    source = {
        "api": "esb-v2",
        "url": url,
        "app_code": "job-monitor",
        "app_secret_file": "app_secret",
        "token_file": "token",
        "credentials_in": where,
        "timeout": "300ms",
    }
    hook = {"secret": None, "secret_file": "hook", "headers_file": "headers"}
    site = Site(directory, url, sources={"prod": source}, log={"level": "debug"})
    receiver.url += f"/{PATH}?key={PATH}"
    site.tell(receiver, **hook)
    return site


@pytest.mark.parametrize("where", ["body", "header"])
async def test_no_secret_shows_through_failures_retries_and_outages(
    tmp_path: Path, where: str
) -> None:
    world = worlds.today()
    job = world.play("mixed_failure", parts=AT_ONCE)
    async with serving(world) as url, receiving() as receiver:
        receiver.answer = once_refused()
        site = a_site(tmp_path, url, receiver, where)
        site.watch(job)
        with running(site.config) as daemon:
            await daemon.reaches(lambda: status(receiver) == "firing", "the failure")
            job.retry(world.now(), AT_ONCE.beat)
            await daemon.reaches(lambda: status(receiver) == "resolved", "the end")
            world.switch([Fault(name=Name.EXPIRED)])
            await daemon.says("bkjob.source.lost")
            assert await daemon.stop() == 0

    assert receiver.deliveries[0].headers["x-token"] == HEADER
    assert [*leaks(site, receiver)] == []


async def test_no_secret_shows_that_job_repeats(tmp_path: Path) -> None:
    asked: list[bytes] = []

    async def repeating(request: web.BaseRequest) -> web.Response:
        body = await request.read()
        asked.append(body)
        return rude_answers(body)[len(asked) % 5]

    async with listening(repeating) as url, receiving() as receiver:
        site = a_site(tmp_path, url, receiver, "body")
        site.watch("1/100")
        with running(site.config) as daemon:
            await daemon.reaches(lambda: len(asked) > 10, "two of each answer")
            await daemon.reaches(lambda: refused(receiver), "the refusal is told")
            assert await daemon.stop() == 0

    sent = json.loads(asked[0])
    assert (sent["bk_app_secret"], sent["bk_token"]) == (APP, TOKEN)
    assert [*leaks(site, receiver)] == []


async def test_no_secret_shows_that_stands_under_a_wrong_key(tmp_path: Path) -> None:
    site = Site(tmp_path, "http://127.0.0.1:9")
    site.source["app_secert"] = APP
    site.settings["sinks"].append({"name": "x", "kind": "webhook", "url": PATH})
    site.write()
    with running(site.config) as daemon:
        assert await daemon.ended() == 78

    assert "did you mean 'app_secret'?" in daemon.text
    assert [*leaks(site, Receiver())] == []


def rude_answers(body: bytes) -> list[web.Response]:
    """Refuse in every way that could put what was asked into somebody's hands."""
    asked = body.decode()
    refusals = [
        {"result": False, "code": code, "data": None, "message": asked}
        for code in (1306000, 1240002, 9900403)
    ]
    return [
        *map(web.json_response, refusals),
        web.Response(text=f"<html>{asked}</html>", content_type="text/html"),
        web.Response(text=asked, status=502),
    ]


def once_refused() -> Callable[[Delivery], int]:
    """Refuse the first event and the first notification at their first try."""
    refused: set[str] = set()

    def answer(delivery: Delivery) -> int:
        if delivery.id in refused or not delivery.id.endswith(("#1", "!1")):
            return 204
        refused.add(delivery.id)
        return 503

    return answer


def refused(receiver: Receiver) -> bool:
    """Whether that was told whose reason JOB words."""
    return any(event.said["partitionkey"] == "prod/biz/1" for event in receiver.taken)


def status(receiver: Receiver) -> str:
    said = [notification.data["status"] for notification in receiver.notifications]
    return said[-1] if said else ""


def leaks(site: Site, receiver: Receiver) -> Iterator[str]:
    """List what holds a canary beside the files that they were put into."""
    hidden = {"app_secret", "token", "hook", "headers", "monitor.yaml"}
    for path in site.directory.iterdir():
        if path.name not in hidden:
            yield from _leaks(path.name, path.read_bytes())
    for delivery in receiver.deliveries:
        yield from _leaks(delivery.id, delivery.body)


def _leaks(name: str, content: bytes) -> Iterator[str]:
    for canary in CANARIES:
        if canary.encode() in content:
            yield f"{canary} in {name}"
