"""Whose instance it is that is put into words, and what the generations share.

Pure: values in, values out.
"""

from collections.abc import Callable, Iterator, MutableSequence, Sequence
from typing import Any

import msgspec

from monitor.simulator.question import Scope, scope
from monitor.simulator.story import Flavour, Launch
from monitor.simulator.timeline import FINISHED, Moment, Row, Step

Shuffle = Callable[[MutableSequence[Any]], None]


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """Whose instance it is, and all that decides how a moment of it is put."""

    biz: int
    job_instance_id: int
    name: str
    epoch: float
    """When the instance began, in seconds since 1970."""

    kind: str = "biz"
    launch: Launch = Launch()
    flavour: Flavour = Flavour.MODERN
    stringly: bool = False
    shuffle: Shuffle | None = None

    @property
    def scope(self) -> Scope:
        return scope(self.biz, self.kind)

    def epoch_ms(self, seconds: float | None) -> int | None:
        """Give a time as v3 and v4 do (bk-job LongTimestampSerializer is v2's)."""
        return None if seconds is None else round((self.epoch + seconds) * 1000)

    def encoded(self, tree: Any) -> bytes:
        return msgspec.json.encode(stringly(tree) if self.stringly else tree)

    def in_order(self, rows: Sequence[Any]) -> list[Any]:
        """List *rows*; there is no ORDER BY, so that their order means nothing."""
        listed = list(rows)
        if self.shuffle is not None:
            self.shuffle(listed)
        return listed


def step_id(job_instance_id: int, number: int) -> int:
    return job_instance_id * 100 + number + 1


def numbered(job_instance_id: int, moment: Moment | None) -> Iterator[tuple[Step, int]]:
    """Go through the steps with their ids; an archived instance has none."""
    for number, step in enumerate(moment.steps if moment else ()):
        yield step, step_id(job_instance_id, number)


def is_finished(status: int, flavour: Flavour) -> bool:
    if flavour is Flavour.LEGACY:
        # EsbGetJobInstanceStatusResourceImpl up to 3.4: 7 and 10 count as finished.
        return status not in {1, 2}
    return status in FINISHED


def lasted_ms(thing: Moment | Step | Row) -> int | None:
    if thing.started is None or thing.ended is None:
        return None
    return round((thing.ended - thing.started) * 1000)


def times(thing: Moment | Step | Row, wording: Wording) -> dict[str, int | None]:
    """Give start, end and duration in milliseconds."""
    return {
        "start_time": wording.epoch_ms(thing.started),
        "end_time": wording.epoch_ms(thing.ended),
        "total_time": lasted_ms(thing),
    }


def stringly(tree: Any) -> Any:
    match tree:
        case dict():
            return {key: stringly(value) for key, value in tree.items()}
        case list():
            return [stringly(value) for value in tree]
        case bool() | None | str():
            return tree
        case _:
            return str(tree)
