"""When to be quiet, said at run time on a real socket, and typed."""

import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, time, timedelta
from pathlib import Path
from time import tzset
from typing import Any

import pytest
from msgspec import Struct, field, structs
from structlog.testing import capture_logs

from monitor import clock
from monitor.core import matchers
from monitor.core.quiet import Daily, Maintenance, Origin, Silence
from monitor.quiet import MOST, Quiet
from monitor.store.sql import SqlStore
from monitor.web.api import acks, maintenance, silences
from tests.support import control, stores
from tests.support.control import Answer, ask, typed

# Replies come from worker threads and sockets, which virtual time would outrun.
pytestmark = pytest.mark.looptime(False)  # noqa: FBT003 - the marker's own signature

HOUR = timedelta(hours=1)
KEY = "prod/biz/2/20000153"
TEAM = 'prod/{team="sre"}'
DBA = (matchers.parse('team="dba"'),)
HOSTILE = "\x1b[2Jgone"


@pytest.fixture(autouse=True)
def _log_elsewhere() -> Iterator[None]:
    """Keep the daemon's log out of what is typed here: they share a process."""
    with capture_logs():
        yield


@pytest.fixture
def living_in() -> Iterator[Callable[[str], None]]:
    """Move this process to another time zone, and back home afterwards."""
    with pytest.MonkeyPatch.context() as patch:

        def move(zone: str) -> None:
            patch.setenv("TZ", zone)
            tzset()

        yield move
    tzset()


class Wrong(Struct):
    """What is wrong at the moment: groups by key."""

    known: dict[str, set[str]] = field(default_factory=dict)

    def groups_of(self, key: str) -> Collection[str]:
        return self.known.get(key, set())

    def groups(self) -> Collection[str]:
        return {group for groups in self.known.values() for group in groups}


class House(Struct):
    socket: Path
    quiet: Quiet
    store: SqlStore
    wrong: Wrong
    looks: list[None]

    async def ask(self, method: str, path: str, **body: Any) -> Answer:
        more = {"json": body} if body else {}
        return await ask(self.socket, method, path, **more)

    async def types(self, *words: str) -> control.Typed:
        return await typed(*words, "--socket", str(self.socket))


@asynccontextmanager
async def a_house(
    directory: Path, *configured: Silence | Maintenance, wrong: Wrong | None = None
) -> AsyncIterator[House]:
    """Give what says and keeps when to be quiet; *looks* grows when all is reconsidered."""
    wrong = wrong or Wrong()
    looks: list[None] = []
    async with stores.opened(directory) as store:
        quiet = Quiet(
            store, configured, now=clock.utc_now, changed=lambda: looks.append(None)
        )
        await quiet.load()
        routes = [
            *silences.operations(quiet, clock.utc_now),
            *maintenance.operations(quiet, clock.utc_now),
            *acks.operations(quiet, wrong, ("prod",), clock.utc_now),
        ]
        async with control.serving(directory, routes) as socket:
            yield House(socket, quiet, store, wrong, looks)


def soon(hours: float = 1) -> str:
    return (clock.utc_now() + hours * HOUR).isoformat()


def of_the_file() -> Silence:
    return Silence(
        id="silences[0]",
        matchers=DBA,
        starts_at=clock.utc_now() - HOUR,
        ends_at=clock.utc_now() + HOUR,
        origin=Origin.FILE,
    )


def nightly() -> Maintenance:
    daily = Daily(start=time(0), end=time(0), timezone="Asia/Shanghai")
    return Maintenance(name="nightly", matchers=DBA, daily=daily, origin=Origin.FILE)


def mutes(house: House, **traits: str) -> bool:
    return house.quiet.muting(traits, clock.utc_now()) is not None


# Silences.


async def test_a_silence_holds_at_once_and_all_is_looked_at_again(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        made = await house.types(
            "silence", "add", 'team="dba"', "--for", "2h", "--comment", "disks",
            "--author", "alice",
        )  # fmt: skip
        listed = await house.types("silence", "ls", "-o", "json")
        muted, others = mutes(house, team="dba"), mutes(house, team="sre")

    [silence] = json.loads(listed.stdout)
    assert made.code == 0
    assert silence["id"] == made.stdout.strip()
    assert (silence["state"], silence["author"]) == ("active", "alice")
    assert (silence["matchers"], silence["comment"]) == (['team="dba"'], "disks")
    assert (muted, others) == (True, False)
    assert len(house.looks) == 1


async def test_a_silence_that_is_ended_is_over_at_once_and_still_shown(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        made = await house.types("silence", "add", "team=dba", "--for", "2h")
        ended = await house.types("silence", "rm", made.stdout.strip())
        muted = mutes(house, team="dba")
        again = await house.types("silence", "rm", made.stdout.strip())
        current = await house.types("silence", "ls")
        all_ = await house.types("silence", "ls", "--expired")

    assert not muted
    assert "ended" in ended.stderr
    assert again.stderr == ended.stderr
    assert current.stderr == "Nothing is silenced.\n"
    assert "expired" in all_.stdout


async def test_a_silence_may_begin_later(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        made = await house.types(
            "silence", "add", "team=dba", "--from", "1h", "--for", "2h"
        )
        [found] = (await house.ask("GET", "/silences")).body["items"]
        listed = await house.types("silence", "ls")
        one = await house.ask("GET", f"/silences/{found['id']}")
        muted = mutes(house, team="dba")

    assert found["state"] == "pending"
    assert one.body == found
    assert not muted
    assert made.stderr.startswith("Silent from ")
    assert " until " in made.stderr
    assert made.stderr.removeprefix("Silent ").rstrip(".\n") in listed.stdout


@pytest.mark.parametrize("words", [["silence", "add"], ["maintenance", "add", "x"]])
async def test_how_long_it_holds_counts_from_its_beginning(
    tmp_path: Path, words: list[str]
) -> None:
    path = "/silences" if words[0] == "silence" else "/maintenance"
    later = ["--from", "2100-01-01T20:00Z", "--for", "2h"]
    never = ["--from", "9998-12-31T20:00Z", "--for", "36500d"]
    async with a_house(tmp_path) as house:
        made = await house.types(*words, "team=dba", *later)
        [found] = (await house.ask("GET", path)).body["items"]
        refused = await house.types(*words, "team=dba", *never)

    assert made.code == 0
    assert found["starts_at"] == "2100-01-01T20:00:00Z"
    assert found["ends_at"] == "2100-01-01T22:00:00Z"
    assert (refused.code, "after the year 9999" in refused.stderr) == (2, True)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
async def test_a_silence_may_be_for_ever_in_every_time_zone(
    tmp_path: Path, living_in: Callable[[str], None], zone: str
) -> None:
    living_in(zone)
    async with a_house(tmp_path) as house:
        made = await house.types(
            "silence", "add", "team=dba", "--until", "9999-12-31T23:59:59Z"
        )
        listed = await house.types("silence", "ls")

    assert (made.code, listed.code) == (0, 0)
    assert "until 9999-12-31" in listed.stdout


async def test_what_people_say_outlives_a_restart_and_what_the_file_says_is_listed(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, wrong=Wrong({KEY: {KEY}})) as house:
        await house.types("silence", "add", "team=dba", "--for", "2h")
        await house.types("maintenance", "add", "move", "team=web", "--for", "2h")
        await house.types("ack", "2/20000153")
    async with a_house(tmp_path, of_the_file(), nightly()) as house:
        listed = (await house.ask("GET", "/silences")).body["items"]
        windows = (await house.ask("GET", "/maintenance")).body["items"]
        known = (await house.ask("GET", "/acks")).body["items"]
        muted = mutes(house, team="dba"), mutes(house, team="web")

    assert {silence["origin"] for silence in listed} == {"api", "file"}
    assert [window["name"] for window in windows] == ["move", "nightly"]
    assert [ack["group"] for ack in known] == [KEY]
    assert muted == (True, True)


@pytest.mark.parametrize("path", ["/silences/silences%5B0%5D", "/maintenance/nightly"])
async def test_what_stands_in_the_file_is_changed_there(
    tmp_path: Path, path: str
) -> None:
    async with a_house(tmp_path, of_the_file(), nightly()) as house:
        answer = await house.ask("DELETE", path)

    assert answer.status == 409
    assert "change it there" in answer.body["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"matchers": []}, "matchers"),
        ({"matchers": ["team"]}, "match: "),
        ({"matchers": ["a=b"] * 21}, "matchers"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, "before it begins"),
        ({"ends_at": "2100-01-01T00:00:00"}, "which zone"),
        ({"starts_at": "2100-01-02T00:00:00Z"}, "before it begins"),
        ({"ends_at": "9999-12-31T23:59:59-08:00"}, "ends_at: it is outside the years"),
        ({"starts_at": "0001-01-01T00:00:00+08:00"}, "starts_at: it is outside"),
        ({"author": "a" * 257}, "author"),
        ({"comment": "c" * 1025}, "comment"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_silence_that_makes_no_sense_is_refused(
    tmp_path: Path, body: dict[str, Any], said: str
) -> None:
    whole = {"matchers": ["a=b"], "ends_at": "2100-01-01T00:00:00Z", **body}
    async with a_house(tmp_path) as house:
        answer = await house.ask("POST", "/silences", **whole)
        known = house.quiet.silences()

    assert answer.status == 400
    assert said in answer.body["detail"]
    assert known == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["team=dba"], "--for 2h"),
        (["team=dba", "--for", "2h", "--until", "2100-01-01"], "not both"),
        (["team=dba", "--for", "soon"], "neither a duration"),
        (["team", "--for", "2h"], "match"),
        (["team=\udcff", "--for", "2h"], "not UTF-8"),
    ],
)
async def test_a_silence_typed_wrongly_is_said_with_what_would_be_right(
    tmp_path: Path, words: list[str], said: str
) -> None:
    async with a_house(tmp_path) as house:
        done = await house.types("silence", "add", *words)

    assert done.code == 2
    assert said in done.stderr


async def test_hostile_words_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        body = {"matchers": ["a=b"], "ends_at": soon(), "comment": HOSTILE}
        await house.ask("POST", "/silences", **body, author=HOSTILE)
        listed = await house.types("silence", "ls")

    assert "gone" in listed.stdout
    assert "\x1b" not in listed.stdout


async def test_silences_are_listed_a_page_at_a_time(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        for hours in (3, 1, 2):
            await house.types("silence", "add", "team=dba", "--for", f"{hours}h")
        first = (await house.ask("GET", "/silences?limit=2")).body
        rest = (await house.ask("GET", f"/silences?limit=2&after={first['next']}")).body
        odd = await house.ask("GET", "/silences?after=WzEsMSwxXQ")

    ends = [silence["ends_at"] for page in (first, rest) for silence in page["items"]]
    assert len(ends) == 3
    assert ends == sorted(ends)
    assert rest["next"] is None
    assert odd.status in {200, 400}


@pytest.mark.parametrize("id_", ["../acks", "\udcff"])
async def test_a_silence_that_is_not_known_is_not_found(
    tmp_path: Path, id_: str
) -> None:
    async with a_house(tmp_path) as house:
        removed = await house.types("silence", "rm", id_)

    assert removed.code == 6


# Maintenance.


async def test_a_daily_window_is_listed_with_its_state_and_when_it_comes_next(
    tmp_path: Path,
) -> None:
    begins = (clock.utc_now() + 2 * HOUR).strftime("%H:%M")
    ends = (clock.utc_now() + 4 * HOUR).strftime("%H:%M")
    async with a_house(tmp_path, nightly()) as house:
        added = await house.types(
            "maintenance", "add", "evening", "team=web", "--daily", f"{begins}-{ends}"
        )
        listed = await house.types("maintenance", "ls", "-o", "json")

    evening, file = json.loads(listed.stdout)
    assert added.code == 0
    assert "evening is pending: from " in added.stderr
    begin = datetime.fromisoformat(evening["begins"])
    assert HOUR < begin - clock.utc_now() <= 2 * HOUR
    assert (file["state"], file["origin"]) == ("active", "file")
    assert file["daily"] == {
        "start": "00:00",
        "end": "00:00",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "timezone": "Asia/Shanghai",
    }


async def test_days_may_be_written_as_a_span(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        for name, days in (("a", "mon-wed"), ("b", "sat,sun"), ("c", "sat-mon")):
            await house.types(
                "maintenance", "add", name, "x=y", "--daily", "22:00-06:00",
                "--days", days,
            )  # fmt: skip
        windows = (await house.ask("GET", "/maintenance")).body["items"]

    assert [window["daily"]["days"] for window in windows] == [
        ["mon", "tue", "wed"],
        ["sat", "sun"],
        ["mon", "sat", "sun"],
    ]


async def test_a_window_that_is_ended_is_over_and_its_name_may_be_used_again(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        await house.types("maintenance", "add", "move", "team=web", "--for", "2h")
        twice = await house.types(
            "maintenance", "add", "move", "team=web", "--for", "2h"
        )
        during = mutes(house, team="web")
        ended = await house.types("maintenance", "rm", "move")
        after = mutes(house, team="web")
        again = await house.types(
            "maintenance", "add", "move", "team=web", "--for", "2h"
        )

    assert (during, after) == (True, False)
    assert twice.code == 1
    assert "end it first" in twice.stderr
    assert ended.stderr == "move is over.\n"
    assert again.code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nightly", "a=b", "--for", "1h"], "change it there"),
        (["x", "a=b"], "give daily, or ends_at"),
        (["x", "a=b", "--daily", "22-6"], "22:00-06:00"),
        (["x", "a=b", "--daily", "25:00-06:00"], "is no time"),
        (["x", "a=b", "--daily", "22:00-06:00", "--days", "someday"], "is no day"),
        (["x", "a=b", "--daily", "22:00-06:00", "--timezone", "Mars"], "no time zone"),
        (["x y", "a=b", "--for", "1h"], "name"),
        (["x", "a=b", "--for", "1h", "--days", "mon"], "go with --daily"),
        (["x", "a=b", "--for", "1h", "--timezone", "UTC"], "go with --daily"),
        (["x", "a=b", "--daily", "22:00-06:00", "--days", ","], "is no day"),
        (
            ["x", "a=b", "--daily", "22:00-06:00", "--from", "9999-12-31T23:00Z"],
            "begin before 9999",
        ),
    ],
)
async def test_a_window_typed_wrongly_is_said_with_what_would_be_right(
    tmp_path: Path, words: list[str], said: str
) -> None:
    async with a_house(tmp_path, nightly()) as house:
        done = await house.types("maintenance", "add", *words)

    assert done.code in {1, 2}
    assert said in done.stderr


# Acknowledgements.


async def test_an_incident_is_acknowledged_by_the_short_key_of_its_instance(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, wrong=Wrong({KEY: {KEY}})) as house:
        said = await house.types("ack", "2/20000153", "--for", "4h", "--author", "al")
        acked = house.quiet.acked(KEY, clock.utc_now())
        listed = await house.types("ack")

    assert said.code == 0
    assert acked is not None
    assert acked.who == "al"
    assert KEY in listed.stdout


async def test_who_is_told_of_with_others_is_acknowledged_with_them(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path, wrong=Wrong({KEY: {TEAM}})) as house:
        await house.types("ack", KEY)
        by_key = house.quiet.acked(TEAM, clock.utc_now())
        ended = await house.types("ack", KEY, "--end")
        after = house.quiet.acked(TEAM, clock.utc_now())
        await house.types("ack", TEAM)
        by_name = house.quiet.acked(TEAM, clock.utc_now())

    assert by_key is not None
    assert by_name is not None
    assert after is None
    assert "Acknowledged no more." in ended.stderr


async def test_where_nothing_is_wrong_there_is_nothing_to_acknowledge(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        said = await house.types("ack", "2/20000153")
        ended = await house.types("ack", "2/20000153", "--end")
        listed = await house.types("ack")

    assert said.code == ended.code == 6
    assert "nothing is wrong" in said.stderr
    assert listed.stderr == "Nobody has acknowledged anything.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--end"], "name what is acknowledged"),
        (["--for", "2h"], "name what is acknowledged"),
        (["2/20000153", "--end", "--for", "2h"], "--end goes without"),
        (["2/20000153", "--for", "1h", "--until", "2100-01-01"], "not both"),
        (["2/20000153", "--until", "2020-01-01"], "before it begins"),
        (["\udcff"], "not UTF-8"),
    ],
)
async def test_an_acknowledgement_typed_wrongly_is_said_with_what_would_be_right(
    tmp_path: Path, words: list[str], said: str
) -> None:
    async with a_house(tmp_path, wrong=Wrong({KEY: {KEY}})) as house:
        done = await house.types("ack", *words)
        known = house.quiet.acks()

    assert (done.code, known) == (2, [])
    assert said in done.stderr


async def test_nobody_has_acknowledged_what_is_no_text(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        ended = await house.types("ack", "\udcff", "--end")

    assert ended.code == 6


async def test_there_is_room_for_so_many_and_for_more_when_some_are_over(
    tmp_path: Path,
) -> None:
    holding = [structs.replace(of_the_file(), id=f"s{n}") for n in range(MOST - 1)]
    async with a_house(tmp_path, *holding) as house:
        last = await house.types("silence", "add", "team=dba", "--for", "2h")
        more = await house.types("silence", "add", "team=dba", "--for", "2h")
        ended = await house.types("silence", "rm", last.stdout.strip())
        again = await house.types("silence", "add", "team=dba", "--for", "2h")
        listed = await house.types("silence", "ls", "-o", "jsonl")

    assert [each.code for each in (last, more, ended, again)] == [0, 1, 0, 0]
    assert "end some first" in more.stderr
    assert len(listed.stdout.splitlines()) == MOST
