"""What people said about when to be quiet, and whether it holds now."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from monitor.core import matchers, quiet
from monitor.core.quiet import Ack, Daily, Maintenance, Quiet, Silence
from monitor.core.telling import WhyNot
from tests.core.builders import NOW

HOUR = timedelta(hours=1)
DBA = (matchers.parse('team="dba"'),)
ZONES = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]
NIGHT = Daily(start=time(22), end=time(6), timezone="Europe/Berlin")


def a_silence(id_: str = "s1", hours: float = 2, ago: float = 1) -> Silence:
    return Silence(
        id=id_,
        matchers=DBA,
        starts_at=NOW - ago * HOUR,
        ends_at=NOW + hours * HOUR,
        author="alice",
        comment="new disks",
    )


def daily(one: Daily) -> Maintenance:
    return Maintenance(name="nightly", matchers=DBA, daily=one)


def local(text: str, zone: str = "Europe/Berlin") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def test_a_silence_mutes_what_it_matches_and_says_who_and_why() -> None:
    known = Quiet(silences=[a_silence()])

    found = known.muting({"team": "dba"}, NOW)

    assert found is not None
    assert (found.reason, found.detail) == (
        WhyNot.SILENCED,
        "s1 by alice: new disks",
    )
    assert found.until == NOW + 2 * HOUR
    assert known.muting({"team": "web"}, NOW) is None


@pytest.mark.parametrize("silence", [a_silence(hours=0), a_silence(ago=-1)])
def test_a_silence_holds_from_its_beginning_and_not_at_its_end(
    silence: Silence,
) -> None:
    assert Quiet(silences=[silence]).muting({"team": "dba"}, NOW) is None


def test_of_several_the_one_that_holds_for_longest_is_named() -> None:
    known = Quiet(silences=[a_silence("s1", 2), a_silence("s2", 3), a_silence("s3", 1)])

    found = known.muting({"team": "dba"}, NOW)

    assert found is not None
    assert found.detail.startswith("s2")


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-11-23T21:59", None),
        ("2026-11-23T22:00", "2026-11-24T06:00"),
        ("2026-11-24T05:59", "2026-11-24T06:00"),
        ("2026-11-24T06:00", None),
    ],
)
def test_a_window_may_cross_midnight(moment: str, until: str | None) -> None:
    found = quiet.maintained(daily(NIGHT), local(moment))

    assert (found and found.end) == (local(until) if until else None)


def test_the_day_of_a_window_is_that_of_its_start() -> None:
    monday = daily(Daily(start=time(22), end=time(6), days=frozenset({0})))

    assert quiet.maintained(monday, datetime(2026, 11, 24, 5, tzinfo=UTC))
    assert not quiet.maintained(monday, datetime(2026, 11, 23, 5, tzinfo=UTC))


def test_windows_that_touch_are_one() -> None:
    weekdays = frozenset(range(5))
    always = daily(Daily(start=time(0), end=time(0), days=weekdays))

    found = quiet.maintained(always, datetime(2026, 11, 23, 12, tzinfo=UTC))

    assert found is not None
    assert found.end == datetime(2026, 11, 28, tzinfo=UTC)


def test_a_window_within_the_hour_that_is_left_out_comes_an_hour_later() -> None:
    one = daily(Daily(start=time(2, 30), end=time(4), timezone="Europe/Berlin"))

    found = quiet.maintained(one, datetime(2026, 3, 29, 1, 45, tzinfo=UTC))

    assert found is not None
    assert found.start == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert found.end == datetime(2026, 3, 29, 2, tzinfo=UTC)


def test_a_window_that_begins_in_the_hour_that_is_left_out_is_not_lost() -> None:
    one = daily(Daily(start=time(2, 30), end=time(3, 15), timezone="Europe/Berlin"))

    found = quiet.maintained(one, datetime(2026, 3, 29, 1, 10, tzinfo=UTC))

    assert found is not None
    assert found.end == datetime(2026, 3, 29, 1, 15, tzinfo=UTC)
    assert found.end - found.start == timedelta(minutes=45)


def test_no_day_of_the_year_loses_its_window() -> None:
    one = Daily(start=time(2, 30), end=time(3, 15), timezone="Europe/Berlin")
    first = datetime(2026, 1, 1, tzinfo=UTC)

    for day in range(365):
        begins = [begin for begin, _ in quiet.windows(one, first + day * quiet.DAY)]
        assert len(begins) == 10


def test_when_a_window_comes_next_is_told() -> None:
    one = daily(Daily(start=time(22), end=time(6), days=frozenset({4})))
    monday = datetime(2026, 11, 23, 12, tzinfo=UTC)

    assert quiet.begins(one, monday) == datetime(2026, 11, 27, 22, tzinfo=UTC)
    over = structs.replace(one, ends_at=datetime(2026, 11, 25, tzinfo=UTC))
    assert quiet.begins(over, monday) is None
    late = structs.replace(one, starts_at=datetime(2026, 11, 28, 1, tzinfo=UTC))
    assert quiet.begins(late, monday) == datetime(2026, 11, 28, 1, tzinfo=UTC)


def test_a_window_within_the_hour_that_comes_twice_holds_in_both() -> None:
    one = daily(Daily(start=time(2), end=time(2, 30), timezone="Europe/Berlin"))

    spans = {
        minutes
        for minutes in range(0, 180, 15)
        if quiet.maintained(
            one, datetime(2026, 10, 25, tzinfo=UTC) + timedelta(minutes=minutes)
        )
    }

    assert spans == set(range(0, 90, 15))


def test_a_recurring_maintenance_ends_with_its_last_day() -> None:
    end = NOW + HOUR
    one = Maintenance(
        name="m",
        matchers=DBA,
        daily=Daily(start=time(0), end=time(0)),
        ends_at=end,
    )

    found = quiet.maintained(one, NOW)

    assert found is not None
    assert found.end == end
    assert quiet.maintained(one, end) is None


some_daily = st.builds(
    Daily,
    start=st.times(),
    end=st.times(),
    days=st.frozensets(st.integers(0, 6)),
    timezone=st.sampled_from(ZONES),
)
moments = st.integers(0, 10 * 366 * 24 * 60).map(
    lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)


@given(some_daily, moments)
def test_a_window_holds_until_its_end_and_not_longer(one: Daily, now: datetime) -> None:
    found = quiet.maintained(daily(one), now)

    if found is not None and found.end is not None:
        within = timedelta(microseconds=1)
        assert found.start <= now < found.end
        assert quiet.maintained(daily(one), found.end - within) is not None
        if one.days != quiet.EVERY_DAY:
            assert quiet.maintained(daily(one), found.end) is None


@given(some_daily, moments)
def test_a_window_holds_only_on_its_days(one: Daily, now: datetime) -> None:
    found = quiet.maintained(daily(one), now)

    if found is not None:
        begun = found.start.astimezone(ZoneInfo(one.timezone))
        days = {begun.weekday(), (begun - quiet.DAY / 2).weekday()}
        assert days & one.days


def test_an_acknowledgement_ends() -> None:
    ack = Ack(group="g", author="alice", at=NOW, ends_at=NOW + HOUR)

    found = ack.now(NOW)

    assert found is not None
    assert (found.who, found.until) == ("alice", NOW + HOUR)
    assert ack.now(NOW + HOUR) is None


def test_who_acknowledges_is_named_with_the_reason() -> None:
    found = Ack(group="g", author="alice", at=NOW, comment="new disk").now(NOW)

    assert found is not None
    assert found.who == "alice: new disk"
