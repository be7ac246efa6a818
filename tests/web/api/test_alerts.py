from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from monitor.core import wording
from monitor.core.alerts import Alert, Name
from monitor.core.member import Brief, Member
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.core.wording import Frame
from monitor.web.api import alerts
from monitor.web.api.operation import Operation
from tests.support import clock, control

KEYS = [f"prod/biz/2/{number}" for number in range(100, 105)]
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


def failed(hosts: int, severity: Severity = CRITICAL) -> Alert:
    return Alert(
        name=Name.HOSTS_FAILED,
        severity=severity,
        since=clock.now(),
        attempt=Attempt(7, 0, "unpack"),
        failed=hosts,
        total=1000,
    )


def member(key: str, *held: Alert, name: str = "deploy") -> Member:
    snapshot = Brief(status=4, name=name)
    return Member(key=key, snapshot=snapshot, alerts={one.id: one for one in held})


class Holding:
    def __init__(self, *members: Member) -> None:
        self.members_by = {one.key: one for one in members}

    async def alerting(self) -> list[str]:
        return list(self.members_by)

    async def members(self, keys: Collection[str]) -> list[Member]:
        return [self.members_by[key] for key in keys]


def frame(key: str) -> Frame:
    found = wording.frame_of(key)
    return Frame(
        source=found.source,
        key=key,
        instance=found.instance,
        labels={"team": "sre" if key.endswith("0") else "dba"},
        web_url="https://job.example.com",
    )


def routes(*members: Member) -> list[Operation]:
    def traits(member: Member, alert: Alert) -> dict[str, str]:
        return wording.alert_traits(frame(member.key), alert)

    return alerts.operations(Holding(*members), traits, frame)


async def listed(path: Path, query: str = "") -> dict[str, Any]:
    answer = await control.ask(path, "GET", f"/alerts{query}")
    assert answer.status == 200
    assert answer.type == "application/json"
    return dict(answer.body)


async def test_the_worst_comes_first(tmp_path: Path) -> None:
    held = [failed(5, WARNING), failed(1), failed(30)]
    members = map(member, KEYS, held)
    async with control.serving(tmp_path, routes(*members)) as path:
        page = await listed(path)

    assert [item["failed"] for item in page["items"]] == [30, 1, 5]
    assert page["next"] is None


async def test_an_alert_says_what_where_and_since_when(tmp_path: Path) -> None:
    held = failed(3)
    async with control.serving(tmp_path, routes(member(KEYS[0], held))) as path:
        [alert] = (await listed(path))["items"]

    assert alert["key"] == KEYS[0]
    assert alert["id"] == "hosts_failed/7"
    assert datetime.fromisoformat(alert["since"]) == held.since
    assert alert["instance"]["name"] == "deploy"
    assert alert["labels"] == {"team": "sre"}
    assert alert["summary"] == "3 of 1000 hosts failed in step 'unpack'"
    assert alert["link"].startswith("https://job.example.com/api_execute/100?")


async def test_pages_hold_everything_once_whatever_ends_between_them(
    tmp_path: Path,
) -> None:
    members = [member(key, failed(n + 1)) for n, key in enumerate(KEYS)]
    holding = Holding(*members)

    def traits(_member: Member, _alert: Alert) -> dict[str, str]:
        return {}

    seen: list[str] = []
    async with control.serving(
        tmp_path, alerts.operations(holding, traits, frame)
    ) as path:
        page = await listed(path, "?limit=2")
        seen += [item["key"] for item in page["items"]]
        del holding.members_by[seen[-1]]  # the one that the next page comes after
        while page["next"]:
            page = await listed(path, f"?limit=2&after={page['next']}")
            seen += [item["key"] for item in page["items"]]

    assert seen == KEYS[::-1]


async def test_every_matcher_must_fit(tmp_path: Path) -> None:
    members = [member(KEYS[0], failed(3)), member(KEYS[1], failed(3), failed(1))]
    async with control.serving(tmp_path, routes(*members)) as path:
        mine = await listed(path, "?match=team%3Dsre&match=alert%3D~hosts.*")
        nobodys = await listed(path, "?match=team%3Dsre&match=team%3Ddba")

    assert [item["key"] for item in mine["items"]] == [KEYS[0]]
    assert nobodys["items"] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("limit=0", "limit: write a number from 1 to 1000"),
        ("limit=1001", "limit: write a number from 1 to 1000"),
        ("limit=ten", "limit: write a number"),
        ("limit=%C2%B2", "limit: write a number"),
        ("after=x", "after: give what another page named as its next"),
        ("after=W10", "after: give what another page named as its next"),
        ("after=%F0%9F%98%80", "after: give what another page named as its next"),
        ("match=team", "match: 'team' is no matcher: write name=\"value\""),
        ("match=a%3D~(x", "none of RE2"),
        ("match=a%3Db&" * 21, "match: at most 20 of them"),
    ],
)
async def test_what_cannot_be_meant_is_a_problem_that_says_what_could(
    tmp_path: Path, query: str, said: str
) -> None:
    async with control.serving(tmp_path, routes()) as path:
        answer = await control.ask(path, "GET", f"/alerts?{query}")

    assert answer.status == 400
    assert answer.type == "application/problem+json"
    assert said in answer.body["detail"]


async def test_others_have_their_turn_while_very_many_alerts_are_looked_at() -> None:
    members = [member(f"prod/biz/2/{n}", failed(1)) for n in range(5_000)]
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as others:
        others.start_soon(count)
        found = await alerts.fitting(members, (), lambda _member, _alert: {})
        others.cancel_scope.cancel()

    assert len(found) == 5_000
    assert turns > 10
