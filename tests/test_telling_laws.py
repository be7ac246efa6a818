"""Laws of telling, whatever happens: nobody is misled in the end, and all of it ends.

A life is a list of turns: looks at three instances, silences, acknowledgements, a lost
source, labels that change, restarts. Then all that keeps quiet is taken away, and days
pass.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import anyio
import looptime
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.core import reach
from monitor.core.message import Message
from monitor.core.notifications import AlertData, EndedData, NotificationData
from monitor.core.routing import Route
from monitor.core.state import Phase
from monitor.core.telling import Acked, Obstacle, WhyNot
from monitor.core.watch import Severity
from monitor.notifier import Habits
from monitor.storm import Bound
from tests.support import log, sink, stores
from tests.support.answers import FAILED, RECOVERED, RUNNING, WORSE, a_job, a_key, hosts
from tests.support.desk import RULES, Desk, telling_to
from tests.support.sink import RecordingSink

KEYS = [a_key(number) for number in (1, 2, 3)]
SNAPSHOTS = [
    RUNNING,
    FAILED,
    WORSE,
    RECOVERED,
    a_job(2, hosts(_1=7, _2=104)),
    a_job(6, hosts(_1=9, _2=104)),
    a_job(2, hosts(_2=7), attempt=1),
]
CALM = Habits(storm=Bound(messages=100_000))
STORMY = Habits(storm=Bound(messages=1, per=timedelta(minutes=10)))
DAYS = 4 * 86400.0

Held = set[tuple[str, str]]
"""Instance and alert."""

Turn = tuple[str, object, object]

turns = st.lists(
    st.one_of(
        st.tuples(st.just("look"), st.sampled_from(KEYS), st.sampled_from(SNAPSHOTS)),
        st.tuples(
            st.just("wait"), st.sampled_from([0.3, 2.0, 70.0, 4e3, 2e4]), st.none()
        ),
        st.tuples(st.just("label"), st.sampled_from(KEYS), st.sampled_from("ab")),
        st.tuples(st.just("ack"), st.integers(0, 4), st.booleans()),
        st.tuples(
            st.sampled_from(
                ["lose", "restore", "mute", "unmute", "restart", "unwatch"]
            ),
            st.sampled_from(KEYS),
            st.none(),
        ),
    ),
    max_size=25,
)


@dataclass
class Told:
    """What each sink was sent, and what holds in the end."""

    sinks: list[RecordingSink] = field(
        default_factory=lambda: [RecordingSink(name) for name in ("all", "grave", "am")]
    )
    holding: dict[str, Held] = field(default_factory=dict)
    unwatched: set[str] = field(default_factory=set)


def wants_grave(traits: Mapping[str, str]) -> bool:
    return traits["severity"] == Severity.CRITICAL


async def live(
    life: Sequence[Turn], by: tuple[str, ...], habits: Habits, directory: Path
) -> Told:
    told, rest = Told(), list(life)
    labels: dict[str, dict[str, str]] = {}
    while True:
        async with (
            stores.opened(directory) as store,
            telling_to(
                store,
                *told.sinks,
                wants={"grave": wants_grave},
                levels=["am"],
                habits=habits,
                route=Route(
                    name="default", sinks=("all", "grave", "am"), by=by, rules=RULES
                ),
            ) as desk,
        ):
            desk.labels = labels  # type: ignore[assignment]
            while rest:
                turn = rest.pop(0)
                if turn[0] == "restart":
                    break
                await take(turn, desk, told)
            else:
                await calm_down(desk)
                told.holding = await holding(desk)
                return told


async def take(turn: Turn, desk: Desk, told: Told) -> None:
    match turn:
        case "look", key, snapshot:
            await log.saw(desk.recorder, snapshot, key)  # type: ignore[arg-type]
            told.unwatched.discard(str(key))
        case "wait", seconds, _:
            await anyio.sleep(seconds)  # type: ignore[arg-type]
        case "label", key, team:
            desk.labels[key] = {"team": team}  # type: ignore[index, dict-item]
            desk.notifier.joined()
        case "ack", number, sticky:
            group = [*map(str, KEYS), 'prod/{team="a"}', 'prod/{team="b"}'][number]  # type: ignore[call-overload]
            desk.quiet.acks[group] = Acked("alice", bool(sticky))
            desk.notifier.reconsider()
        case "lose", _, _:
            await desk.sees(reach.Kind.LOST)
        case "restore", _, _:
            await desk.sees(reach.Kind.RESTORED)
        case "mute", _, _:
            desk.quiet.muted = Obstacle(WhyNot.SILENCED)
            desk.notifier.reconsider()
        case "unmute", _, _:
            desk.quiet.muted = None
            desk.notifier.reconsider()
        case "unwatch", key, _:
            await log.unwatched(desk.recorder, key)  # type: ignore[arg-type]
            told.unwatched.add(str(key))


async def calm_down(desk: Desk) -> None:
    desk.quiet.muted = None
    desk.quiet.acks.clear()
    await desk.sees(reach.Kind.RESTORED)
    desk.notifier.reconsider()
    await anyio.sleep(DAYS)


async def holding(desk: Desk) -> dict[str, Held]:
    members = await desk.store.members(await desk.store.alerting())
    every = [
        (member.key, alert)
        for member in members
        if member.phase is Phase.WATCHED
        for alert in member.alerts.values()
    ]
    both = {(key, str(alert.name)) for key, alert in every}
    grave = {(k, str(a.name)) for k, a in every if a.severity is Severity.CRITICAL}
    return {"all": both, "grave": grave, "am": both}


def last_said(messages: Sequence[Message]) -> Held:
    """Put together what the last message about each group says that holds.

    A message about many tells all that holds for each instance that it names.
    """
    last: dict[str, Held] = {}
    for message in messages:
        said = sink.told(message)
        if said.reason != "storm":
            last[message.key] = {*named(said, said.alerts)}
            continue
        for key, _ in named(said, said.ended):
            last[key] = set()
        for key, _ in named(said, said.alerts):
            last[key] = {one for one in named(said, said.alerts) if one[0] == key}
    return set().union(*last.values())


def named(
    said: NotificationData, alerts: Sequence[AlertData] | Sequence[EndedData]
) -> Iterator[tuple[str, str]]:
    for alert in alerts:
        of = alert.instance
        key = said.group
        if of is not None:
            key = (
                f"{of.source}/{of.bk_scope_type}/{of.bk_scope_id}/{of.job_instance_id}"
            )
        yield key, alert.name


def lived(
    life: Sequence[Turn], by: tuple[str, ...] = ("instance",), habits: Habits = CALM
) -> Told:
    loop = looptime.new_event_loop()
    try:
        with tempfile.TemporaryDirectory() as name:
            return loop.run_until_complete(live(life, by, habits, Path(name)))
    finally:
        loop.close()


laws: Callable[[Callable[..., None]], Callable[..., None]] = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
groupings = st.sampled_from([("instance",), ("team",)])


def assert_nobody_is_misled(told: Told) -> None:
    """What became less grave than a sink wants is not over for it."""
    for each in told.sinks:
        said = last_said(each.delivered)
        left = {one for one in said if one[0] in told.unwatched and each.name != "am"}
        assert told.holding[each.name] <= said - left <= told.holding["all"], each.name


@laws
@given(turns, groupings)
def test_in_the_end_every_sink_knows_what_holds(
    life: list[Turn], by: tuple[str, ...]
) -> None:
    assert_nobody_is_misled(lived(life, by))


@laws
@given(turns)
def test_after_a_storm_every_sink_knows_what_holds(life: list[Turn]) -> None:
    assert_nobody_is_misled(lived(life, habits=STORMY))


@laws
@given(turns, groupings)
def test_nobody_hears_of_an_end_without_a_beginning_nor_twice(
    life: list[Turn], by: tuple[str, ...]
) -> None:
    for each in lived(life, by).sinks:
        firing: dict[str, bool] = {}
        for message in each.delivered:
            said = sink.told(message)
            if said.status == "resolved":
                assert firing.get(message.key), message.id
            firing[message.key] = said.status == "firing"


@laws
@given(turns, st.sampled_from([CALM, STORMY]))
def test_an_id_is_given_to_one_message(life: list[Turn], habits: Habits) -> None:
    sinks = lived(life, habits=habits).sinks

    sent = {message.id: message for each in sinks for message in each.delivered}
    assert all(sent[m.id] == m for each in sinks for m in each.delivered)
    assert all(len(each.ids) == len({*each.ids}) for each in sinks)
