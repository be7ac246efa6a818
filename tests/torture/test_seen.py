"""Which states must be on record, and which may have been missed."""

import json
from datetime import UTC, datetime

from monitor.core.message import Message
from monitor.core.shards import SHARDS
from monitor.simulator.scenarios import Parts
from monitor.simulator.world import World
from tests.torture.evidence import Evidence, Struck
from tests.torture.members import Life
from tests.torture.sampling import Sampler, Tenure
from tests.torture.schedule import Kind
from tests.torture.seen import Sight, sight
from tests.torture.worked import evidence, owner

KEY = "prod/biz/2/20000153"
WAITING, RUNNING, FAILED = 1, 2, 4


def told(*statuses: int) -> list[Message]:
    return [
        Message(
            id=f"{KEY}#{n}",
            key=KEY,
            type="bkjob.instance.changed",
            source="prod",
            subject=KEY,
            time=datetime.fromtimestamp(0, UTC),
            sequence=n,
            data=json.dumps({"after": {"status": status}}).encode(),
        )
        for n, status in enumerate(statuses, 1)
    ]


def run(scenario: str, beat: float, *ills: tuple[float, float]) -> Evidence:
    """Let one daemon own everything, which was ill at times."""
    sampler = Sampler("")
    for shard in range(SHARDS):
        sampler.saw(Tenure(shard, 0.0, owner(100), 1))
    world = World(clock=lambda: 0.0)
    world.play(scenario, parts=Parts(beat=beat))
    return evidence(
        sampler, lives=[Life(0, 100, "127.1.0.1", 0.0, ills=[*ills])], world=world
    )


def missed(found: Sight) -> list[str]:
    return [*found.missed()]


def test_states_that_last_must_all_be_on_record() -> None:
    found = run("one_ip_fails", 40.0)

    assert missed(sight(found, told(WAITING, RUNNING, FAILED))) == []
    assert missed(sight(found, told(WAITING, FAILED))) == [
        f"{KEY}: [1, 4] on record, [1, 2, 4] must be"
    ]


def test_a_state_that_was_short_may_be_missed_and_the_last_one_may_not() -> None:
    found = run("one_ip_fails", 0.1)

    assert missed(sight(found, told(FAILED))) == []
    assert missed(sight(found, told(RUNNING))) != []


def test_what_happens_while_the_owner_is_stopped_may_be_missed() -> None:
    stopped = run("one_ip_fails", 20.0, (1.0, 77.0))

    assert missed(sight(stopped, told(FAILED))) == []


def test_what_happens_while_the_database_is_away_may_be_missed() -> None:
    away = run("one_ip_fails", 20.0)
    away.struck.append(Struck(Kind.RESTART, 0, 1.0, 77.0, frozenset()))

    assert missed(sight(away, told(FAILED))) == []


def test_a_short_state_that_was_told_to_its_owner_must_be_on_record() -> None:
    short = run("one_ip_fails", 0.5)
    short.told.at[2, 20000153].append(1.2)

    assert missed(sight(short, told(FAILED))) == [
        f"{KEY}: [4] on record, [2, 4] must be"
    ]


def test_what_was_told_to_an_owner_that_was_stopped_next_may_be_lost() -> None:
    short = run("one_ip_fails", 0.5, (2.0, 30.0))
    short.told.at[2, 20000153].append(1.2)

    assert missed(sight(short, told(FAILED))) == []


def test_a_state_that_never_was_or_comes_twice_is_invented() -> None:
    found = run("one_ip_fails", 40.0)

    assert [*sight(found, told(WAITING, RUNNING, FAILED)).invented()] == []
    for wrong in ((WAITING, FAILED, RUNNING), (WAITING, RUNNING, WAITING)):
        assert [*sight(found, told(*wrong)).invented()] != []
