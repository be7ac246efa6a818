"""Pages of a daemon at work, as a browser without scripts gets them."""

import html
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import pytest

from monitor.web.access import COOKIE
from monitor.web.api import asked
from tests.test_service import FAILING, KEY, a_site, playing
from tests.web.serving import FORM
from tests.web.test_daemon import open_web

pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

UNSEEN = "2/99"


@asynccontextmanager
async def shown(tmp_path: Path, **web: Any) -> AsyncIterator[str]:
    """Watch one that fails and one that JOB does not know; give the address."""
    async with a_site(tmp_path) as (site, world):
        world.play("one_ip_fails")
        site.second = FAILING
        site.list.write_text(f"{site.list.read_text()}{UNSEEN} team=dba\n")
        url = open_web(site, **web)
        async with playing(site) as stage:
            await stage.tells("hosts.failed")
            yield url


async def page(url: str, **more: Any) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url, **more) as response,
    ):
        assert response.content_type == "text/html"
        return response.status, await response.text()


async def test_the_overview_begins_with_what_is_wrong(tmp_path: Path) -> None:
    async with shown(tmp_path) as url:
        status, text = await page(f"{url}/")

    assert status == 200
    assert text.index("1 of 5 hosts failed") < text.index(">Instances<")
    assert f'href="/instances/{KEY}"' in text
    assert "<script>" not in text


@pytest.mark.parametrize(
    ("query", "listed"),
    [
        ("q=one_ip", True),
        ("q=other", False),
        ("severity=critical", True),
        ("meaning=succeeded", False),
        ("match=team%3Dsre", True),
        ("match=team%3Ddba", False),
    ],
)
async def test_a_filter_shows_what_fits_and_no_incidents(
    tmp_path: Path,
    query: str,
    listed: bool,  # noqa: FBT001
) -> None:
    async with shown(tmp_path) as url:
        _, text = await page(f"{url}/?{query}")

    assert (f'href="/instances/{KEY}"' in text) == listed
    assert ">Incidents<" not in text


async def test_what_was_not_filled_in_is_not_asked_for(tmp_path: Path) -> None:
    form = "q=one_ip&meaning=&severity=&sort=worst&match="
    async with (
        shown(tmp_path) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/?{form}") as response,
    ):
        text = await response.text()

    assert (response.status, str(response.url)) == (200, f"{url}/?q=one_ip&sort=worst")
    assert KEY in text


async def test_all_of_several_matchers_are_kept(tmp_path: Path) -> None:
    several = "match=team%3Dsre&match=name%3Done_ip_fails"
    after = asked.place_text([""])
    async with shown(tmp_path) as url:
        _, text = await page(f"{url}/?{several}&sort=key&after={after}")

    [first] = re.findall(r'href="/\?([^"]*)">First page', text)
    assert parse_qsl(html.unescape(first)) == [*parse_qsl(several), ("sort", "key")]
    assert 'value="team=sre"' in text
    assert 'value="name=one_ip_fails"' in text


async def test_what_cannot_be_shown_is_said_on_a_page(tmp_path: Path) -> None:
    async with shown(tmp_path) as url:
        missing = await page(f"{url}/instances/prod/biz/2/12345")
        wrong = await page(f"{url}/?sort=luck")

    assert missing[0] == 404
    assert "nothing is known of prod/biz/2/12345" in missing[1]
    assert wrong[0] == 400
    assert "sort: write one of" in wrong[1]


async def test_an_instance_shows_hosts_events_and_who_was_told(tmp_path: Path) -> None:
    async with shown(tmp_path) as url:
        _, text = await page(f"{url}/instances/{KEY}")
        _, failed = await page(f"{url}/instances/{KEY}?standing=failed")

    assert text.count('<li class="host') == 5
    assert failed.count('<li class="host') == 1
    assert "hosts failed" in text
    assert "appeared" in text


async def test_who_was_not_seen_yet_is_named_with_its_place(tmp_path: Path) -> None:
    async with shown(tmp_path) as url:
        _, text = await page(f"{url}/sources")

    assert "prod/biz/2/99" in text
    assert "list.txt:2" in text
    assert KEY not in text


async def test_who_is_alone_has_no_page_of_nodes(tmp_path: Path) -> None:
    async with shown(tmp_path) as url:
        _, text = await page(f"{url}/")
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"{url}/nodes")
            status = answer.status

    assert 'href="/nodes"' not in text
    assert status == 404


async def test_without_a_token_a_browser_is_sent_to_sign_in(tmp_path: Path) -> None:
    async with shown(tmp_path, token="a-long-token") as url:
        status, text = await page(f"{url}/")
        api_status, _ = await get(f"{url}/api/v1/status")

    assert status == 200
    assert 'type="password"' in text
    assert api_status == 401


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def entered(url: str, sent: bytes, **headers: str) -> aiohttp.ClientResponse:
    """Send *sent* where people sign in."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{url}/login", data=sent, headers=FORM | headers, allow_redirects=False
        ) as response,
    ):
        await response.read()
        return response


async def test_who_signs_in_is_let_in_also_behind_a_proxy_with_passwords(
    tmp_path: Path,
) -> None:
    async with shown(tmp_path, token="a-long-token") as url:
        there = await entered(url, b"token=a-long-token")
        cookies = {name: each.value for name, each in there.cookies.items()}
        proxied = {"Authorization": "Basic b3BzOnNlc2FtZQ=="}
        _, text = await page(f"{url}/", cookies=cookies, headers=proxied)

    assert (there.status, there.headers["Location"]) == (303, "/")
    assert KEY in text


@pytest.mark.parametrize(("scheme", "secure"), [("http", ""), ("https", True)])
async def test_a_cookie_of_an_encrypted_page_is_never_sent_in_the_clear(
    tmp_path: Path, scheme: str, secure: object
) -> None:
    async with shown(tmp_path, token="a-long-token", allow_hosts=["a.example"]) as url:
        there = await entered(
            url,
            b"token=a-long-token",
            Host="a.example",
            Origin=f"{scheme}://a.example",
        )

    assert there.status == 303
    assert there.cookies[COOKIE]["secure"] == secure


@pytest.mark.parametrize(
    ("sent", "type_"),
    [
        (b"abc", "multipart/form-data"),
        (b"abc", "multipart/form-data; boundary=x"),
        (b"token=a", "application/x-www-form-urlencoded; charset=none-such"),
        (b"token=\xff", "application/x-www-form-urlencoded"),
        (b"a=b&" * 1000, "application/x-www-form-urlencoded"),
    ],
)
async def test_what_is_not_our_form_is_a_wrong_token(
    tmp_path: Path, sent: bytes, type_: str
) -> None:
    async with shown(tmp_path, token="a-long-token") as url:
        answer = await entered(url, sent, **{"Content-Type": type_})

    assert answer.status == 403
