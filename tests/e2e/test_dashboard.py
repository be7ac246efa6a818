"""The dashboard in a real browser: live, by keyboard, on a phone, for everybody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import structs

from monitor.simulator import scenarios
from monitor.simulator.scenarios import Parts
from monitor.simulator.server import serving
from tests.e2e.daemon import Daemon, running
from tests.e2e.site import Site
from tests.e2e.theatre import Stage
from tests.support import browser, ports

pytestmark = pytest.mark.timeout(120)

HOSTILE: Final = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
BROKEN, WELL = 20000153, 20000154
TOKEN: Final = "for-the-browser"
PHONE: Final = {"viewport": {"width": 390, "height": 800}}
PAGES: Final = ("/", "/?sort=name", "/sources", "/sinks", "/quiet")
MINUTE: Final = 60_000
"""Milliseconds that a page has for what it waits for."""


class Show(Stage):
    """*key* names the instance that is shown."""

    daemon: Daemon
    page: str
    key: str = f"prod/biz/2/{BROKEN}"


@asynccontextmanager
async def showing(tmp_path: Path, **settings: Any) -> AsyncIterator[Show]:
    """Play a job that fails and one that is well, watched, with a page of them."""
    browser.binary()
    show = Show()
    story = scenarios.story("mixed_failure", Parts(beat=1))
    show.world.play(structs.replace(story, name=HOSTILE), job_instance_id=BROKEN)
    show.world.play("hang", job_instance_id=WELL)
    async with serving(show.world) as show.url:
        site = Site(tmp_path, show.url)
        listen = f"127.0.0.1:{ports.free()}"
        site.settings["web"] = {"listen": listen, **settings}
        site.write()
        site.watch(f"2/{BROKEN} team=sre", f"2/{WELL}")
        with running(site.config) as show.daemon:
            show.page = (await show.daemon.says("web.listening"))["url"]
            await show.daemon.says("service.started")
            await show.daemon.reaches(
                lambda: len(show.daemon.said("bkjob.instance.appeared")) == 2,
                "both are seen",
            )
            yield show


async def failed(show: Show) -> None:
    show.now = 4
    await show.daemon.says("bkjob.notification", status="firing")


async def test_what_fails_turns_up_without_a_reload(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        await page.goto(show.page)
        await page.wait_for_selector("#live.on", timeout=MINUTE)
        calm = await page.inner_text("main")
        await failed(show)
        await page.wait_for_selector(".incident.tone-critical", timeout=MINUTE)
        incident = await page.inner_text(".incident")
        await page.click(".incident h3 a")
        await page.wait_for_selector("h1")
        title, told = await page.inner_text("h1"), await page.inner_text("main")

    assert "Nothing is wrong" in calm
    assert "hosts failed" in incident
    assert "non-zero exit code" in incident
    assert title == HOSTILE
    assert "the first message about it" in told


async def test_what_jobs_are_called_runs_nowhere(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        said: list[str] = []
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("console", lambda line: said.append(line.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        await failed(show)
        for path in (*PAGES, f"/instances/{show.key}"):
            await page.goto(show.page + path)
            await page.wait_for_selector("#live.on", timeout=MINUTE)
        images = await page.locator("main img").count()

    assert said == []
    assert images == 0


async def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        asked: set[str] = set()
        page.on("request", lambda request: asked.add(request.url))
        await page.goto(show.page)
        await page.wait_for_selector("#live.on", timeout=MINUTE)

    assert asked
    assert all(url.startswith(show.page) for url in asked)


@pytest.mark.parametrize(("scheme", "wide"), [("light", True), ("dark", False)])
async def test_an_audit_finds_nothing_in_the_way_of_anybody(
    tmp_path: Path,
    scheme: str,
    wide: bool,  # noqa: FBT001
) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    look = {} if wide else PHONE
    async with (
        showing(tmp_path) as show,
        browser.opened(color_scheme=scheme, **look) as page,
    ):
        await failed(show)
        found: dict[str, Any] = {}
        for path in (*PAGES, f"/instances/{show.key}", "/?lang=zh-CN"):
            await page.goto(show.page + path)
            await page.wait_for_selector("#live.on", timeout=MINUTE)
            result = await axe.run(page)
            if result.violations_count:
                found[path] = result.generate_report()

    assert found == {}


async def test_it_fits_a_phone(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened(**PHONE) as page:
        await failed(show)
        wide: dict[str, int] = {}
        for path in (*PAGES, f"/instances/{show.key}"):
            await page.goto(show.page + path)
            wide[path] = await page.evaluate("document.documentElement.scrollWidth")

    assert max(wide.values()) <= 390, wide


async def test_the_keyboard_is_enough(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        await failed(show)
        await page.goto(show.page)
        await page.keyboard.press("/")
        searching = await page.evaluate("document.activeElement.id")
        await page.keyboard.press("Escape")
        await page.keyboard.press("?")
        helped = await page.is_visible("dialog")
        await page.keyboard.press("Escape")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("k")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/instances/**")

    assert searching == "search"
    assert helped


async def test_a_token_signs_in_and_lets_change_things(tmp_path: Path) -> None:
    async with showing(tmp_path, token=TOKEN) as show, browser.opened() as page:
        await failed(show)
        await page.goto(show.page)
        asked = page.url
        await page.fill("input[name=token]", "wrong")
        await page.click("main button")
        wrong = await page.inner_text("[role=alert]")
        await page.fill("input[name=token]", TOKEN)
        await page.click("main button")
        await page.click(".incident button[data-do=ack]")
        await page.wait_for_selector(".acked", timeout=MINUTE)
        acked = await page.inner_text(".acked")
        async with page.expect_response("**/api/v1/silences"):
            await page.click(".incident button[data-do=silence]")
        await page.goto(f"{show.page}/quiet")
        quiet = await page.inner_text("main")
        await page.click("header form button")
        left = page.url

    assert asked.endswith("/login")
    assert "not the token" in wrong
    assert "dashboard" in acked
    assert f'instance="{show.key}"' in quiet
    assert left.endswith("/login")


async def test_who_may_only_read_is_offered_nothing_else(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        await failed(show)
        await page.goto(show.page)
        offered = await page.locator("button[data-do]").count()

    assert offered == 0


async def test_it_speaks_chinese_to_who_asks_for_it(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        await failed(show)
        await page.goto(show.page)
        await page.click("a[hreflang=zh-CN]")
        first = await page.inner_text("main")
        await page.goto(f"{show.page}/sinks")
        kept = await page.inner_text("h1")

    assert "执行失败" in first
    assert kept == "通知渠道"


HIDE: Final = """
    Object.defineProperty(document, "hidden", { get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
"""
LOOK: Final = "document.dispatchEvent(new Event('visibilitychange'))"
"""Makes a page ask for itself as soon as it may."""


async def test_a_stream_that_a_proxy_refused_is_asked_for_again(
    tmp_path: Path,
) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        refused: list[str] = []

        async def refuse_once(route: Any) -> None:
            if refused:
                await route.continue_()
            else:
                refused.append(route.request.url)
                await route.fulfill(status=502, body="Bad Gateway")

        await page.route("**/api/v1/stream", refuse_once)
        await page.goto(show.page)
        await page.wait_for_selector("#live.on", timeout=MINUTE)

    assert len(refused) == 1


async def test_more_tabs_than_a_browser_has_connections_may_be_open(
    tmp_path: Path,
) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        for _ in range(7):
            tab = await page.context.new_page()
            await tab.goto(show.page)
            await tab.wait_for_selector("#live.on", timeout=MINUTE)
            await tab.evaluate(HIDE)
        answer = await page.goto(show.page)

    assert answer.status == 200


@pytest.mark.parametrize("what", ["button[data-do=silence]", ".incident h3 a"])
async def test_what_has_the_focus_keeps_it(tmp_path: Path, what: str) -> None:
    async with showing(tmp_path, token=TOKEN) as show, browser.opened() as page:
        await failed(show)
        await page.goto(show.page)
        await page.fill("input[name=token]", TOKEN)
        await page.click("main button")
        await page.focus(what)
        await page.evaluate("document.querySelector('main h1').dataset.old = 'yes'")
        await page.evaluate(LOOK)
        await page.wait_for_selector("main h1:not([data-old])", state="attached")
        kept = await page.evaluate(f"document.activeElement.matches('{what}')")

    assert kept


async def test_what_is_marked_to_be_copied_stays_marked(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        await failed(show)
        await page.clock.install()
        await page.goto(f"{show.page}/instances/{show.key}")
        await page.evaluate(
            "getSelection().selectAllChildren(document.querySelector('h1'))"
        )
        await page.clock.run_for(MINUTE)
        await page.evaluate("fetch(location.href).then((answer) => answer.text())")
        marked = await page.evaluate("getSelection().toString()")

    assert marked == HOSTILE


async def test_a_language_is_chosen_for_all_tabs(tmp_path: Path) -> None:
    async with showing(tmp_path) as show, browser.opened() as page:
        await page.goto(f"{show.page}/?lang=zh-CN&sort=name")
        await page.wait_for_selector("#live.on", timeout=MINUTE)
        other = await page.context.new_page()
        await other.goto(f"{show.page}/?lang=en")
        await page.wait_for_selector("html[lang=en]", timeout=MINUTE)
        kept = page.url

    assert kept.endswith("/?sort=name")


async def test_an_address_that_somebody_sent_opens_for_who_is_signed_in(
    tmp_path: Path,
) -> None:
    async with showing(tmp_path, token=TOKEN) as show, browser.opened() as page:
        await page.goto(show.page)
        await page.fill("input[name=token]", TOKEN)
        await page.click("main button")
        await page.wait_for_selector("#strip")
        sent = f"{show.page}/?sort=name"
        await page.goto(f"data:text/html,<a href='{sent}'>look</a>")
        await page.click("a")
        await page.wait_for_selector("main h1", state="attached")
        opened = page.url

    assert opened == sent


async def test_without_scripts_nothing_is_offered_that_needs_them(
    tmp_path: Path,
) -> None:
    async with (
        showing(tmp_path, token=TOKEN) as show,
        browser.opened(java_script_enabled=False) as page,
    ):
        await failed(show)
        await page.goto(show.page)
        await page.fill("input[name=token]", TOKEN)
        await page.click("main button")
        await page.wait_for_selector(".incident")
        buttons = page.locator("[data-do]")
        found = [await each.is_visible() for each in await buttons.all()]
        await page.fill("#search", "no-such-name")
        await page.click("form.filter button")
        said = await page.inner_text("main")

    assert found
    assert not any(found)
    assert "No instance fits." in said
