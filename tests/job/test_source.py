import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from monitor import errors, ports
from monitor.core.model import InstanceKey
from monitor.job import source
from monitor.job.source import JobSource, SourceConfig
from tests.job import recorded
from tests.job.servers import serving

SECRET = "s3cr3t/of the+app"
TOKEN = "t0ken-of-the-user"
BADGE = {"bk_app_code": "demo", "bk_app_secret": SECRET, "bk_access_token": TOKEN}
EXPIRED = {"result": False, "code": 1306000, "message": "access_token has expired"}


class Esb:
    """Answers with the bodies of a list, the last one for ever, and remembers."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = list(bodies)
        self.heads: list[dict[str, str]] = []
        self.said: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.heads.append(dict(request.headers))
        self.said.append(json.loads(await request.read()))
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        return web.Response(body=body, content_type="application/json")


@asynccontextmanager
async def watching(esb: Esb, **options: Any) -> AsyncIterator[JobSource]:
    options = {"credentials": lambda: BADGE} | options
    async with serving(esb.answer) as url:
        config = SourceConfig(name="prod", url=url, timezone=recorded.CHINA, **options)
        async with source.opened(config) as opened:
            yield opened


async def test_a_look_brings_a_snapshot() -> None:
    async with watching(Esb(recorded.read("failed"))) as job:
        as_port: ports.Source = job
        look = await as_port.look(recorded.KEY)

    assert as_port.name == "prod"
    assert look.snapshot == recorded.decipher(recorded.read("failed"))


async def test_an_answer_with_fresh_ids_only_is_not_decoded_again() -> None:
    body = recorded.read("failed")
    fresh = body.replace(b"5f1c2b7d9e0a4c33", b"0000000000000000")
    async with watching(Esb(body, fresh)) as job:
        first = await job.look(recorded.KEY)
        second = await job.look(recorded.KEY, first.digest)

    assert fresh != body
    assert second == ports.Look(first.digest, None)


async def test_a_changed_answer_is_decoded() -> None:
    body = recorded.read("failed")
    async with watching(Esb(body, body.replace(b":104", b":9"))) as job:
        first = await job.look(recorded.KEY)
        second = await job.look(recorded.KEY, first.digest)

    assert second.snapshot is not None
    assert second.snapshot.steps[0].hosts["0:10.0.0.2"] == 9  # type: ignore[index]
    assert second.digest != first.digest


async def test_credentials_travel_in_the_body() -> None:
    esb = Esb(recorded.read("failed"))
    async with watching(esb, language="zh-cn", tenant="acme") as job:
        await job.look(recorded.KEY)

    assert esb.said == [BADGE | {"bk_biz_id": 2, "job_instance_id": 20000153}]
    assert esb.heads[0]["Blueking-Language"] == "zh-cn"
    assert esb.heads[0]["X-Bk-Tenant-Id"] == "acme"
    assert "X-Bkapi-Authorization" not in esb.heads[0]


async def test_credentials_travel_in_the_header() -> None:
    esb = Esb(recorded.read("failed"))
    async with watching(esb, credentials_in="header") as job:
        await job.look(recorded.KEY)

    assert esb.said == [{"bk_biz_id": 2, "job_instance_id": 20000153}]
    assert json.loads(esb.heads[0]["X-Bkapi-Authorization"]) == {
        "bk_app_code": "demo",
        "bk_app_secret": SECRET,
        "access_token": TOKEN,
    }


async def test_a_business_set_is_asked_for_by_its_scope() -> None:
    esb = Esb(recorded.read("failed"))
    async with watching(esb) as job:
        await job.look(InstanceKey("prod", "biz_set", "9991001", 20000153))

    assert esb.said[0]["bk_scope_type"] == "biz_set"
    assert esb.said[0]["bk_scope_id"] == "9991001"
    assert "bk_biz_id" not in esb.said[0]


async def test_credentials_are_read_anew_only_after_they_were_refused() -> None:
    esb = Esb(
        recorded.dump(EXPIRED),
        recorded.dump({"result": False, "code": 1306201, "message": "later"}),
        recorded.read("failed"),
    )
    reads: list[int] = []

    def credentials() -> dict[str, str]:
        reads.append(len(reads))
        return BADGE | {"bk_access_token": f"token-{len(reads)}"}

    async with watching(esb, credentials=credentials) as job:
        for kind in (errors.Refused, errors.Unavailable):
            with pytest.raises(kind):
                await job.look(recorded.KEY)
        await job.look(recorded.KEY)

    shown = [said["bk_access_token"] for said in esb.said]
    assert shown == ["token-1", "token-2", "token-2"]


async def test_unreadable_credentials_are_refused_credentials() -> None:
    def credentials() -> dict[str, str]:
        raise FileNotFoundError(2, "No such file", "/run/credentials/secret")

    async with watching(Esb(b""), credentials=credentials) as job:
        with pytest.raises(errors.Refused, match="/run/credentials/secret"):
            await job.look(recorded.KEY)


async def test_an_answer_about_another_instance_never_comes_back() -> None:
    key = InstanceKey("prod", "biz", "2", 7)
    async with watching(Esb(recorded.read("failed"))) as job:
        with pytest.raises(errors.Garbled):
            await job.look(key)


SPELLED = [SECRET, TOKEN, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]]


@pytest.mark.parametrize("place", ["body", "header"])
@pytest.mark.parametrize("secret", SPELLED)
@pytest.mark.parametrize(
    "template",
    [
        '{{"result":false,"code":1640001,"code_name":"X","message":"app {}"}}',
        '{{"result":false,"code":1240002,"job_request_id":"1","message":"{}"}}',
        '{{"result":false,"code":9900403,"job_request_id":"{}","message":""}}',
        '{{"result":true,"code":0,"data":"{}',
        "<html>You sent {}</html>",
        "<html>" + "x" * 240 + "{}</html>",
    ],
)
async def test_what_we_sent_is_in_no_error_even_where_it_is_echoed(
    template: str, secret: str, place: str
) -> None:
    esb = Esb(template.format(secret).encode())
    async with watching(esb, credentials_in=place) as job:
        with pytest.raises(errors.SourceError) as caught:
            await job.look(recorded.KEY)

    error = caught.value
    shown = "".join(traceback.format_exception(error)) + error.request_ids
    assert not any(part in shown for part in (SECRET[:4], TOKEN[:4]))
