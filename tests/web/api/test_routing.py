"""The ways of alerts, a page at a time, from a real store."""

from pathlib import Path
from typing import Any

import pytest

from monitor.core import matchers, wording
from monitor.core.alerts import Alert
from monitor.core.member import Member
from monitor.core.routing import Route
from monitor.core.telling import Obstacle, WhyNot
from monitor.core.ways import Ways
from monitor.recorder import Recorder
from monitor.store.sql import SqlStore
from monitor.web.api import asked, routing
from tests.support import control, log, stores
from tests.support.answers import FAILED, RECOVERED, a_key

KEYS = [a_key(number) for number in (1, 2, 3)]
LONG_AGO = "2020-01-01T00:00:00Z"
ROOT = Route(name="default", sinks=("oncall",), by=("team",))
WAYS = Ways(ROOT, {"oncall": lambda _: ""})
MUTED = matchers.parse(f'instance="{KEYS[0]}"')


def quiet(traits: Any) -> Obstacle | None:
    return Obstacle(WhyNot.SILENCED, "s1") if MUTED.matches(traits) else None


def house() -> routing.House:
    def traits(member: Member, alert: Alert) -> dict[str, str]:
        return wording.alert_traits(wording.frame_of(member.key), alert)

    return routing.House(
        ways=WAYS,
        sources=("prod",),
        traits=traits,
        frame=wording.frame_of,
        quiet=quiet,
    )


async def recorded(store: SqlStore) -> None:
    """Let three fail, and the last recover."""
    recorder = Recorder(store, lambda _: None)
    for key in KEYS:
        await log.saw(recorder, FAILED, key)
    await log.saw(recorder, RECOVERED, KEYS[2])


async def every(path: Path, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        answer = await control.ask(path, "GET", "/routes", params={**query, **after})
        assert answer.status == 200, answer.body
        assert len(answer.body["items"]) <= int(query.get("limit", asked.LIMIT))
        found += answer.body["items"]
        if answer.body["next"] is None:
            return found
        after = {"after": answer.body["next"]}


def names(found: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [(each["key"], each["name"], each["holds"]) for each in found]


@pytest.mark.parametrize("limit", ["1", "2", "1000"])
async def test_what_holds_comes_first_and_then_what_was_raised(
    tmp_path: Path, limit: str
) -> None:
    async with stores.opened(tmp_path) as store:
        await recorded(store)
        async with control.serving(
            tmp_path, routing.operations(store, house())
        ) as path:
            now = await every(path, limit=limit)
            since = await every(path, limit=limit, since=LONG_AGO)

    first, second, third = (str(key) for key in KEYS)
    holding = [
        (key, name, True)
        for key in (first, second)
        for name in ("hosts_failed", "job_failed")
    ]
    raised = [
        (key, name, False)
        for key in (first, second, third)
        for name in ("hosts_failed", "job_failed")
    ]
    assert names(now) == holding
    assert names(since) == [*holding, *raised]
    assert all(each["ways"][0]["group"] == 'prod/{team=""}' for each in since)


async def test_a_key_or_a_group_is_asked_about_alone(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        await recorded(store)
        async with control.serving(
            tmp_path, routing.operations(store, house())
        ) as path:
            one = await every(path, of="2/3", since=LONG_AGO)
            group = await every(path, of='prod/{team=""}')
            other = await every(path, of='prod/{team="dba"}', since=LONG_AGO)

    assert {each["key"] for each in one} == {str(KEYS[2])}
    assert len(group) == 4
    assert other == []


async def test_what_keeps_an_alert_quiet_now_is_said(tmp_path: Path) -> None:
    async with stores.opened(tmp_path) as store:
        await recorded(store)
        async with control.serving(
            tmp_path, routing.operations(store, house())
        ) as path:
            found = await every(path)

    said = {each["key"]: each["quiet"] for each in found}
    assert said == {str(KEYS[0]): "somebody silenced it: s1", str(KEYS[1]): ""}


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "2026-11-27T08:00"},
        {"limit": "0"},
        {"after": "!"},
        {"after": asked.place_text(["", 1 << 70])},
        {"after": asked.place_text(["", -2])},
        {"after": asked.place_text(["", 0])},
    ],
)
async def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, query: dict[str, str]
) -> None:
    async with (
        stores.opened(tmp_path) as store,
        control.serving(tmp_path, routing.operations(store, house())) as path,
    ):
        answer = await control.ask(path, "GET", "/routes", params=query)

    assert answer.status == 400
