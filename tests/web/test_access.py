"""Who may do what over TCP: by token, by cookie, or by nothing."""

from typing import Any

import pytest
from aiohttp import web

from monitor.web.access import COOKIE
from monitor.web.api import operation
from tests.web.serving import Answer, serving

SECRET, READING = "a-secret-of-many-words", "another-for-reading"
TOKENS: dict[str, Any] = {"token": SECRET, "read_token": READING}


async def done(_: web.Request) -> web.Response:
    return web.json_response({})


OPERATIONS = [
    operation.get("/api/v1/things", done, "Read.", dict),
    operation.post("/api/v1/things", done, "Change.", dict),
]


async def asked(
    method: str, *, headers: dict[str, str] | None = None, **given: Any
) -> Answer:
    async with serving(operations=OPERATIONS, **given) as site:
        return await site.ask(method, "/api/v1/things", headers=headers or {})


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("tokens", "brought", "read", "change"),
    [
        ({}, None, 200, 403),
        ({"token": SECRET}, None, 401, 401),
        ({"token": SECRET}, SECRET, 200, 200),
        ({"token": SECRET}, "wrong", 401, 401),
        ({"token": SECRET}, "", 401, 401),
        (TOKENS, READING, 200, 403),
        (TOKENS, SECRET, 200, 200),
        ({"read_token": READING}, READING, 200, 403),
        ({"read_token": READING}, None, 401, 401),
        (TOKENS, "wörter", 401, 401),
    ],
)
async def test_what_a_token_allows(
    tokens: dict[str, Any], brought: str | None, read: int, change: int
) -> None:
    headers = {} if brought is None else bearing(brought)
    seen = await asked("GET", headers=headers, **tokens)
    changed = await asked("POST", headers=headers, **tokens)

    assert (seen.status, changed.status) == (read, change)


async def test_a_refusal_says_what_to_do() -> None:
    nobody = await asked("GET", token=SECRET)
    open_to_all = await asked("POST")
    reader = await asked("POST", headers=bearing(READING), **TOKENS)

    assert nobody.headers["www-authenticate"] == "Bearer"
    assert "Authorization: Bearer" in nobody.problem["detail"]
    assert "set web.token" in open_to_all.problem["detail"]
    assert "may only read" in reader.problem["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({}, 200),
    ],
)
async def test_another_site_changes_nothing_through_a_browser(
    headers: dict[str, str], status: int
) -> None:
    answer = await asked("POST", headers=bearing(SECRET) | headers, token=SECRET)

    assert answer.status == status


async def test_our_own_origin_may_change_things() -> None:
    async with serving(operations=OPERATIONS, token=SECRET) as site:
        headers = bearing(SECRET) | {"Origin": site.url}
        answer = await site.ask("POST", "/api/v1/things", headers=headers)

    assert answer.status == 200


async def test_everything_is_said_with_headers_that_bind_browsers() -> None:
    seen = await asked("GET")
    refused = await asked("POST")

    for answer in (seen, refused):
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"


async def test_metrics_need_no_more_than_the_token_for_reading() -> None:
    async with serving(**TOKENS) as site:
        reader = await site.get("/metrics", **bearing(READING))
        nobody = await site.get("/metrics")

    assert (reader.status, nobody.status) == (200, 401)


@pytest.mark.parametrize("path", ["/livez", "/-/healthy", "/readyz", "/-/ready"])
async def test_probes_need_no_token(path: str) -> None:
    async with serving(**TOKENS) as site:
        answer = await site.get(path)

    assert answer.status == 200


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "admin",
        "admin.99999999999.",
        "admin.99999999999.00",
        "admin.99999999999999999999999999.00",
        "root.99999999999.00",
        "read.x.00",
        "..",
    ],
)
async def test_a_cookie_that_somebody_made_up_opens_nothing(cookie: str) -> None:
    answer = await asked("GET", headers={"Cookie": f"{COOKIE}={cookie}"}, **TOKENS)

    assert answer.status == 401


async def test_verbose_readiness_names_what_is_looked_at() -> None:
    async with serving() as site:
        well = await site.get("/readyz?verbose")
    async with serving(ready=lambda: False) as site:
        ill = await site.get("/readyz?verbose")

    assert (well.status, well.body) == (200, b"ok watch lists\n")
    assert ill.status == 503
    assert ill.body == b"!! watch lists: the watch lists are not read yet\n"
