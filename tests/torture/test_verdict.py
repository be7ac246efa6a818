"""Which repeats a fault explains."""

from monitor.core.shards import shard
from tests.e2e.receiver import Delivery, Receiver
from tests.torture.evidence import IN_FLIGHT, Struck
from tests.torture.sampling import Sampler
from tests.torture.schedule import Kind
from tests.torture.verdict import repeats
from tests.torture.worked import evidence

KEY = "prod/biz/2/1"


def taken(*moments: float, key: str = KEY) -> Receiver:
    receiver = Receiver()
    receiver.deliveries += [
        Delivery(
            at=at,
            headers={},
            body=b"",
            genuine=True,
            said={"id": f"{key}#1", "partitionkey": key},
            status=204,
        )
        for at in moments
    ]
    return receiver


def why(receiver: Receiver, *struck: Struck) -> list[str | None]:
    found = evidence(Sampler(""), receiver=receiver, struck=struck)
    return [repeat.why for repeat in repeats(found)]


def kill(at: float, *shards: int) -> Struck:
    return Struck(Kind.KILL, 100, at, at + 1, frozenset(shards))


def test_what_came_once_is_no_repeat() -> None:
    assert why(taken(10.0), kill(10.0, shard(KEY))) == []


def test_a_repeat_is_explained_by_a_fault_of_its_owner_while_it_was_in_flight() -> None:
    assert why(taken(10.0, 22.0), kill(11.0, shard(KEY))) == ["kill"]


def test_a_fault_long_after_or_of_another_daemon_explains_nothing() -> None:
    receiver = taken(10.0, 11.0)

    assert why(receiver) == [None]
    assert why(receiver, kill(12.0 + IN_FLIGHT, shard(KEY))) == [None]
    assert why(receiver, kill(10.0, (shard(KEY) + 1) % 64)) == [None]


def test_a_crash_of_the_database_concerns_everybody() -> None:
    crash = Struck(Kind.RESTART, 0, 10.0, 11.0, frozenset())

    assert why(taken(10.0, 12.0), crash) == ["restart"]
