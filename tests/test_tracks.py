"""Who is watched, as lists, callbacks and the price of looks see it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from msgspec import structs

from monitor.agenda import RARELY, SILENCE, Agenda, Rules
from monitor.core.cadence import Limits
from monitor.core.model import InstanceKey
from monitor.core.watch import Severity
from monitor.tracks import CRITICAL, Track, Tracks, kinds
from monitor.vouching import Vouching
from tests.support import clock
from tests.support.answers import RUNNING, a_key, a_watch

pytestmark = pytest.mark.looptime

A, B, ELSEWHERE = a_key(1), a_key(2), a_key(3, scope="3")
LUCK = clock.middling


class Diary:
    """Satisfies ``Plan``: remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def spread(self, keys: Iterable[InstanceKey], seconds: float) -> None:
        self.lines.append(f"spread {len([*keys])} {seconds:g}")

    def plan(self, key: InstanceKey, delay: float = 0.0) -> None:
        self.lines.append(f"plan {key.job_instance_id} {delay:g}")

    def put_off(self, key: InstanceKey, delay: float) -> None:
        self.lines.append(f"put off {key.job_instance_id} {delay:g}")

    def urge(self, key: InstanceKey) -> None:
        self.lines.append(f"urge {key.job_instance_id}")

    def drop(self, key: InstanceKey) -> None:
        self.lines.append(f"drop {key.job_instance_id}")


def followed(*keys: InstanceKey) -> tuple[Tracks, Diary]:
    diary = Diary()
    tracks = Tracks(diary)
    tracks.follow({key: Track(a_watch(key), None) for key in keys})
    return tracks, diary


def agenda(*, early: float = 30.0) -> Agenda:
    rules = Rules(limits=Limits(floor=2.0, cap=60.0), early=early)
    return Agenda(rules, None, now=clock.now, luck=LUCK)


async def test_an_instance_is_found_by_its_id_in_whatever_scope_it_is() -> None:
    tracks, _ = followed(A, B, ELSEWHERE)

    assert [*tracks.named("prod", 3)] == [ELSEWHERE]
    assert [*tracks.named("prod", 4)] == []
    assert [*tracks.named("other", 3)] == []


async def test_a_hint_moves_an_instance_to_the_front_and_no_other() -> None:
    tracks, diary = followed(A, B)

    assert tracks.hint(A, moved=True)
    assert not tracks.hint(ELSEWHERE)
    assert diary.lines == ["urge 1"]
    assert (tracks[A].hurried, tracks[B].hurried) == (True, False)


async def test_what_a_list_vouches_for_is_put_off_and_comes_back_spread() -> None:
    tracks, diary = followed(A, B)
    tracks[A].seen_at = anyio.current_time()
    vouching = Vouching(tracks, diary, agenda(early=0), cap=60.0, luck=LUCK)
    vouching.vouch([A, ELSEWHERE], clock.now())
    vouching.unvouch([A, B])

    assert diary.lines == [f"put off 1 {SILENCE * 60:g}", "plan 1 30"]


async def test_whom_a_list_speaks_for_again_and_again_is_visited_at_last() -> None:
    tracks, diary = followed(A)
    tracks[A].seen_at = anyio.current_time()
    vouching = Vouching(tracks, diary, agenda(early=0), cap=60.0, luck=LUCK)
    due = 0.0
    while not due or anyio.current_time() < due:
        vouching.vouch([A], clock.now())
        due = anyio.current_time() + float(diary.lines[-1].rpartition(" ")[2])
        await anyio.sleep(20)
    said = len(diary.lines)
    vouching.vouch([A], clock.now())

    assert due == pytest.approx(RARELY * 0.95)
    # What is due by now is not put off any more.
    assert len(diary.lines) == said


async def test_a_list_speaks_for_no_visit_that_was_asked_for() -> None:
    tracks, diary = followed(A, B)
    vouching = Vouching(tracks, diary, agenda(), cap=60.0, luck=LUCK)
    vouching.hint(A, finished=True)
    tracks[B].failures = 1
    vouching.vouch([A, B], clock.now())

    assert diary.lines == ["urge 1"]


async def test_a_list_speaks_for_whom_was_seen_and_whose_end_is_confirmed() -> None:
    tracks, diary = followed(A, B, a_key(3), a_key(4))
    vouching = Vouching(tracks, diary, agenda(), cap=60.0, luck=LUCK)
    known = structs.replace(RUNNING, created_at=clock.now())
    for key in (A, B, a_key(4)):
        tracks[key].learn(known)
        tracks[key].place(known, clock.now())
    tracks[B].finished_at = tracks[a_key(4)].finished_at = clock.now()
    tracks[a_key(4)].confirmed = True

    listed = [*vouching.tracked("prod/biz/2")]

    assert [one.key.job_instance_id for one in listed] == [1, 4]
    assert [one.interval for one in listed] == [2.0, 60.0]


async def test_the_instances_of_a_scope_are_those_and_no_others() -> None:
    tracks, _ = followed(A, B, ELSEWHERE)

    assert [key for key, _ in tracks.of("prod/biz/2")] == [A, B]
    assert tracks.scopes() == {"prod/biz/2": 2, "prod/biz/3": 1}


async def test_those_that_run_tell_their_kinds_age_and_weight() -> None:
    tracks, _ = followed(A, B, ELSEWHERE)
    started = structs.replace(RUNNING, started_at=clock.now() - timedelta(seconds=90))
    tracks[A].watch = a_watch(A, severity=Severity.CRITICAL)
    for key in (A, B):
        tracks[key].place(started, clock.now())
    tracks[B].finished_at = clock.now()
    await anyio.sleep(10)

    assert [*tracks.running()] == [
        (("prod/biz/2 name deploy", "prod/biz/2", "prod"), 100.0, CRITICAL)
    ]


def test_who_runs_one_plan_is_of_one_kind_whatever_its_name() -> None:
    assert kinds("prod", "prod/biz/2", 7, "a") == kinds("prod", "prod/biz/2", 7, "b")
    assert kinds("prod", "prod/biz/2", None, "a")[0] == "prod/biz/2 name a"


async def test_a_clock_of_job_ahead_of_ours_makes_no_negative_age() -> None:
    track = Track(a_watch(A), None)
    track.place(
        structs.replace(RUNNING, started_at=datetime(2100, 1, 1, tzinfo=UTC)),
        clock.now(),
    )

    assert track.began == anyio.current_time()


async def test_a_vouched_instance_is_visited_for_early_failures_alone() -> None:
    track = Track(a_watch(A), None)
    track.vouched = True
    track.learn(RUNNING)
    track.hosts_at = anyio.current_time()
    await anyio.sleep(10)

    assert agenda(early=30).next(track) == 20
    track.seen_at = anyio.current_time()
    assert agenda(early=0).next(track) == SILENCE * 60


async def test_a_vouched_end_is_retired_when_it_has_settled() -> None:
    track = Track(a_watch(A, settle=timedelta(minutes=5)), None)
    track.vouched = track.confirmed = True
    track.finished_at = clock.now()
    track.seen_at = anyio.current_time()
    await anyio.sleep(150)

    assert agenda().next(track) == 150
    await anyio.sleep(150)
    assert agenda().next(track) is None


async def test_what_was_long_still_at_first_sight_is_not_hurried() -> None:
    track = Track(a_watch(A), None)
    track.changed_at = track.stepped_at = clock.now()
    old = structs.replace(RUNNING, started_at=clock.now() - timedelta(seconds=900))
    track.place(old, clock.now())
    at_first = agenda().interval(track, clock.now())
    await anyio.sleep(100)
    track.changed_at = track.stepped_at = clock.now()
    track.place(old, clock.now())

    assert at_first == 30
    assert agenda().interval(track, clock.now()) == 2
