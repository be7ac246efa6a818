import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from monitor import errors, ports
from monitor.core import rate
from monitor.core.listing import Page, Query
from monitor.core.model import InstanceKey, Step
from monitor.job import source
from monitor.job.source import JobSource, SourceConfig
from tests.job import recorded
from tests.job.servers import serving

SECRET = "s3cr3t/of the+app"
TOKEN = "t0ken-of-the-user"
BADGE = {"bk_app_code": "demo", "bk_app_secret": SECRET, "bk_access_token": TOKEN}
EXPIRED = {"result": False, "code": 1306000, "message": "access_token has expired"}


class Job:
    """Answers with the bodies of a list, the last one for ever, and remembers."""

    def __init__(self, *bodies: bytes) -> None:
        self.bodies = list(bodies)
        self.heads: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.more: dict[str, str] = {}
        self.said: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.heads.append(dict(request.headers))
        self.paths.append(request.path)
        said = await request.read()
        self.said.append(json.loads(said) if said else dict(request.query))
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        return web.Response(
            body=body, content_type="application/json", headers=self.more
        )


@asynccontextmanager
async def watching(server: Job, **options: Any) -> AsyncIterator[JobSource]:
    options = {"credentials": lambda: BADGE} | options
    async with serving(server.answer, path="/{path:.*}") as url:
        config = SourceConfig(name="prod", url=url, timezone=recorded.CHINA, **options)
        async with source.opened(config) as opened:
            yield opened


async def test_a_look_brings_a_snapshot() -> None:
    async with watching(Job(recorded.read("failed"))) as job:
        as_port: ports.Source = job
        look = await as_port.look(recorded.KEY)

    assert as_port.name == "prod"
    assert look.snapshot == recorded.decipher(recorded.read("failed"))


async def test_an_answer_with_fresh_ids_only_is_not_decoded_again() -> None:
    body = recorded.read("failed")
    fresh = body.replace(b"5f1c2b7d9e0a4c33", b"0000000000000000")
    async with watching(Job(body, fresh)) as job:
        first = await job.look(recorded.KEY)
        second = await job.look(recorded.KEY, first.digest)

    assert fresh != body
    assert second == ports.Look(first.digest, None)


async def test_a_changed_answer_is_decoded() -> None:
    body = recorded.read("failed")
    async with watching(Job(body, body.replace(b":104", b":9"))) as job:
        first = await job.look(recorded.KEY)
        second = await job.look(recorded.KEY, first.digest)

    assert second.snapshot is not None
    assert second.snapshot.steps[0].hosts["0:10.0.0.2"] == 9  # type: ignore[index]
    assert second.digest != first.digest


async def test_credentials_travel_in_the_body() -> None:
    server = Job(recorded.read("failed"))
    async with watching(server, language="zh-cn", tenant="acme") as job:
        await job.look(recorded.KEY)

    assert server.said == [BADGE | {"bk_biz_id": 2, "job_instance_id": 20000153}]
    assert server.heads[0]["Blueking-Language"] == "zh-cn"
    assert server.heads[0]["X-Bk-Tenant-Id"] == "acme"
    assert "X-Bkapi-Authorization" not in server.heads[0]


async def test_credentials_travel_in_the_header() -> None:
    server = Job(recorded.read("failed"))
    async with watching(server, credentials_in="header") as job:
        await job.look(recorded.KEY)

    assert server.said == [{"bk_biz_id": 2, "job_instance_id": 20000153}]
    assert json.loads(server.heads[0]["X-Bkapi-Authorization"]) == {
        "bk_app_code": "demo",
        "bk_app_secret": SECRET,
        "access_token": TOKEN,
    }


async def test_a_business_set_is_asked_for_by_its_scope() -> None:
    server = Job(recorded.read("failed"))
    async with watching(server) as job:
        await job.look(InstanceKey("prod", "biz_set", "9991001", 20000153))

    assert server.said[0]["bk_scope_type"] == "biz_set"
    assert server.said[0]["bk_scope_id"] == "9991001"
    assert "bk_biz_id" not in server.said[0]


async def test_credentials_are_read_anew_only_after_they_were_refused() -> None:
    server = Job(
        recorded.dump(EXPIRED),
        recorded.dump({"result": False, "code": 1306201, "message": "later"}),
        recorded.read("failed"),
    )
    reads: list[int] = []

    def credentials() -> dict[str, str]:
        reads.append(len(reads))
        return BADGE | {"bk_access_token": f"token-{len(reads)}"}

    async with watching(server, credentials=credentials) as job:
        for kind in (errors.Refused, errors.Unavailable):
            with pytest.raises(kind):
                await job.look(recorded.KEY)
        await job.look(recorded.KEY)

    shown = [said["bk_access_token"] for said in server.said]
    assert shown == ["token-1", "token-2", "token-2"]


async def test_unreadable_credentials_are_refused_credentials() -> None:
    def credentials() -> dict[str, str]:
        raise FileNotFoundError(2, "No such file", "/run/credentials/secret")

    async with watching(Job(b""), credentials=credentials) as job:
        with pytest.raises(errors.Refused, match="/run/credentials/secret"):
            await job.look(recorded.KEY)


async def test_an_answer_about_another_instance_never_comes_back() -> None:
    key = InstanceKey("prod", "biz", "2", 7)
    async with watching(Job(recorded.read("failed"))) as job:
        with pytest.raises(errors.Garbled):
            await job.look(key)


V3 = InstanceKey("prod", "biz_set", "9991001", 20000154)
V4 = InstanceKey("prod", "tenant_set", "1 &?", 20000155)


@pytest.mark.parametrize(
    ("api", "system", "path", "asked"),
    [
        (
            "gateway-v3",
            False,
            "/api/v3/get_job_instance_status",
            {"return_ip_result": "true"},
        ),
        (
            "gateway-v3",
            True,
            "/api/v3/system/get_job_instance_status",
            {"return_ip_result": "true"},
        ),
        (
            "gateway-v4",
            False,
            "/api/v4/get_job_instance_status",
            {"return_execute_object_result": "true"},
        ),
        (
            "gateway-v4",
            True,
            "/api/v4/system/get_job_instance_status",
            {"return_execute_object_result": "true"},
        ),
    ],
)
async def test_gateways_are_asked_by_query_with_credentials_in_the_head(
    api: str,
    system: bool,  # noqa: FBT001
    path: str,
    asked: dict[str, str],
) -> None:
    key, sample = (V3, "v3_running") if "v3" in api else (V4, "v4_failed")
    badge = {"bk_app_code": "demo", "bk_app_secret": SECRET, "bk_username": "admin"}
    server = Job(recorded.read(sample))
    options = {"api": api, "system_api": system, "tenant": "acme"}
    async with watching(server, credentials=lambda: badge, **options) as job:
        whole = await job.look(key)
        light = await job.look(key, hosts=False)

    assert whole.snapshot == recorded.decipher(recorded.read(sample), key, api=api)  # type: ignore[arg-type]
    assert light.snapshot is not None
    assert server.paths == [path, path]
    plain = {
        "bk_scope_type": key.scope_type,
        "bk_scope_id": key.scope_id,
        "job_instance_id": str(key.job_instance_id),
    }
    assert server.said == [plain | asked, plain]
    head = server.heads[0]
    assert json.loads(head["X-Bkapi-Authorization"]) == badge
    assert head.get("X-Bk-Username") == ("admin" if system else None)
    assert head["X-Bk-Tenant-Id"] == "acme"
    assert head["Blueking-Language"] == "en"


async def test_v3_over_the_esb_is_asked_by_body() -> None:
    server = Job(recorded.read("v3_running"))
    async with watching(server, api="esb-v3", system_api=True) as job:
        await job.look(V3)
        await job.look(V3, hosts=False)

    fields = {
        "bk_scope_type": "biz_set",
        "bk_scope_id": "9991001",
        "job_instance_id": 20000154,
    }
    assert server.paths == ["/api/c/compapi/v2/jobv3/get_job_instance_status/"] * 2
    assert server.said == [BADGE | fields | {"return_ip_result": True}, BADGE | fields]
    assert "X-Bk-Username" not in server.heads[0]


SCOPE = Query(
    scope_type="biz",
    scope_id="2",
    since=datetime(2024, 5, 20, tzinfo=UTC),
    until=datetime(2024, 5, 21, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("api", "root", "encoded"),
    [
        ("esb-v3", "/api/c/compapi/v2/jobv3/{}/", False),
        ("gateway-v3", "/api/v3/{}", True),
        ("gateway-v4", "/api/v4/{}", True),
    ],
)
async def test_a_page_of_the_list_is_asked_for(
    api: str,
    root: str,
    encoded: bool,  # noqa: FBT001
) -> None:
    server = Job(b'{"code":0,"job_request_id":"1","data":{}}')
    async with watching(server, api=api) as job:
        page = await job.page(SCOPE)

    assert page == Page((), full=False)
    assert server.paths == [root.format("get_job_instance_list")]
    start = 1716163200000
    assert server.said[0]["create_time_start"] == (str(start) if encoded else start)
    assert job.calls == {("list", "ok"): 1}


async def test_the_hosts_of_a_step_are_asked_for_by_group() -> None:
    server = Job(
        b'{"code":0,"data":{"step_instance_id":5}}',
        recorded.dump(EXPIRED),
    )
    async with watching(server, api="gateway-v3") as job:
        step = await job.groups(V3, Step(step_instance_id=5, status=4), 20)
        with pytest.raises(errors.Refused):
            await job.groups(V3, step, 20)

    assert step == Step(step_instance_id=5, status=4, partial=True)
    assert server.paths == ["/api/v3/get_step_instance_status"] * 2
    assert server.said[0]["max_host_num_per_group"] == "20"
    assert job.calls == {("groups", "ok"): 1, ("groups", "refused"): 1}


async def test_what_an_api_does_not_offer_is_not_asked_for() -> None:
    server = Job(b"")
    async with watching(server) as job:
        with pytest.raises(errors.Garbled, match="no list"):
            await job.page(SCOPE)

    assert job.means == ports.Means()
    assert server.paths == []
    assert job.calls == {}


@pytest.mark.parametrize("api", ["gateway-v3", "gateway-v4"])
async def test_no_secret_is_ever_in_a_url(api: str) -> None:
    urls = []

    async def answer(request: web.Request) -> web.Response:
        urls.append(str(request.rel_url))
        return web.Response(body=b"")

    async with serving(answer, path="/{path:.*}") as url:
        config = SourceConfig(
            name="prod",
            url=url,
            api=api,  # type: ignore[arg-type]
            timezone=recorded.CHINA,
            credentials=lambda: BADGE,
            credentials_in="body",
        )
        async with source.opened(config) as job:
            with pytest.raises(errors.Garbled):
                await job.look(V3)

    assert len(urls) == 1
    assert not any(
        part in urls[0] for part in ("demo", SECRET[:6], TOKEN[:6], "bk_app")
    )


@pytest.mark.parametrize("api", ["gateway-v3", "gateway-v4"])
async def test_an_answer_of_a_gateway_with_fresh_ids_is_not_decoded_again(
    api: str,
) -> None:
    key, sample, old = (
        (V3, "v3_running", b"b2d7c0aa1c9e4f10")
        if "v3" in api
        else (V4, "v4_failed", b"0d4e2f6a77aa4b1e")
    )
    body = recorded.read(sample)
    async with watching(Job(body, body.replace(old, b"0" * 16)), api=api) as job:
        first = await job.look(key)
        second = await job.look(key, first.digest)

    assert old in body
    assert second == ports.Look(first.digest, None)


QUOTA = {
    "X-Bkapi-RateLimit-Limit": "100",
    "X-Bkapi-RateLimit-Remaining": "7",
    "X-Bkapi-RateLimit-Reset": "3",
}


async def test_what_a_gateway_says_about_its_limit_is_handed_on() -> None:
    heard: list[rate.Quota] = []
    server = Job(recorded.read("v3_running"), b"<html>")
    server.more = QUOTA
    async with watching(server, api="gateway-v3", heard=heard.append) as job:
        await job.look(V3)
        with pytest.raises(errors.SourceError):
            await job.look(V3)
        server.more = {}
        with pytest.raises(errors.SourceError):
            await job.look(V3)

    assert heard == [rate.Quota(100, 7, 3.0)] * 2


async def test_the_esb_is_not_listened_to_for_limits() -> None:
    heard: list[rate.Quota] = []
    server = Job(recorded.read("v3_running"))
    server.more = QUOTA
    async with watching(server, api="esb-v3", heard=heard.append) as job:
        await job.look(V3)

    assert heard == []


async def test_calls_are_counted_by_what_was_asked_and_how_it_ended() -> None:
    body = recorded.read("failed")
    down = {"result": False, "code": 1306201, "message": "later"}
    gone = {"result": False, "code": 1244006, "job_request_id": "1", "message": ""}
    slow = {"result": False, "code": 1306429, "message": ""}
    server = Job(body, body, *map(recorded.dump, (down, gone, slow)), b"<html>")
    async with watching(server) as job:
        first = await job.look(recorded.KEY)
        await job.look(recorded.KEY, first.digest)
        for _ in range(4):
            with pytest.raises(errors.SourceError):
                await job.look(recorded.KEY)

    assert job.calls == {
        ("status", "ok"): 2,
        ("status", "unavailable"): 1,
        ("status", "missing"): 1,
        ("status", "throttled"): 1,
        ("status", "garbled"): 1,
    }


async def test_calls_that_found_no_way_are_counted_as_well() -> None:
    config = SourceConfig(
        name="prod",
        url="http://job.invalid",
        timezone=recorded.CHINA,
        credentials=lambda: BADGE,
    )
    async with source.opened(config) as job:
        with pytest.raises(errors.Unavailable):
            await job.look(recorded.KEY)

    assert job.calls == {("status", "unavailable"): 1}


SPELLED = [SECRET, TOKEN, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]]


@pytest.mark.parametrize(
    ("place", "api"),
    [("body", "esb-v2"), ("header", "esb-v2"), ("body", "gateway-v4")],
)
@pytest.mark.parametrize("secret", SPELLED)
@pytest.mark.parametrize(
    "template",
    [
        '{{"result":false,"code":1640001,"code_name":"X","message":"app {}"}}',
        '{{"result":false,"code":1240002,"job_request_id":"1","message":"{}"}}',
        '{{"result":false,"code":9900403,"job_request_id":"{}","message":""}}',
        '{{"error":{{"code":"INTERNAL","message":"{}"}},"job_request_id":"1"}}',
        '{{"result":true,"code":0,"data":"{}',
        "<html>You sent {}</html>",
        "<html>" + "x" * 240 + "{}</html>",
    ],
)
async def test_what_we_sent_is_in_no_error_even_where_it_is_echoed(
    template: str, secret: str, place: str, api: str
) -> None:
    server = Job(template.format(secret).encode())
    async with watching(server, credentials_in=place, api=api) as job:
        with pytest.raises(errors.SourceError) as caught:
            await job.look(recorded.KEY)

    error = caught.value
    shown = "".join(traceback.format_exception(error)) + error.request_ids
    assert not any(part in shown for part in (SECRET[:4], TOKEN[:4]))
