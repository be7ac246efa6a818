"""Writes notifications: gathers what is known of those whom a message shows."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from msgspec import Struct, structs

from monitor.core import notifications, routing, telling
from monitor.core.message import Message
from monitor.core.notifications import View
from monitor.core.state import State
from monitor.core.telling import Case, Ended, Speak, Why
from monitor.core.wording import Frame
from monitor.ports import Memory

STORM = "storm"
"""How the group is called of all that is told together because it is too much."""


class Spoken(Struct, frozen=True):
    """What is said of one group, while many are told of together."""

    group: str
    speak: Speak


class Composing:
    def __init__(self, memory: Memory, frame: Callable[[str], Frame]) -> None:
        self._memory = memory
        self._frame = frame

    async def message(
        self,
        group: str,
        speak: Speak,
        *,
        number: int,
        sequence: int,
        now: datetime,
        known: State | None = None,
    ) -> Message:
        """Write one; *known* is the state behind *group* where that is no several."""
        shown = notifications.shown(speak.cases)
        views = {} if known is None else {group: self._view(group, known)}
        for key in {case.key for case in shown} - views.keys():
            views[key] = self._view(key, await self._memory.load(key))
        return notifications.build(
            self._framed(group, speak),
            lambda key: views.get(key) or View(frame=self._frame(key)),
            speak,
            number=number,
            last_sequence=sequence,
            now=now,
        )

    def _view(self, key: str, known: State) -> View:
        return View(frame=self._frame(key), snapshot=known.snapshot, tails=known.tails)

    def _framed(self, group: str, speak: Speak) -> Frame:
        if not routing.is_several(group):
            return self._frame(group)
        keys = {case.key for case in speak.cases}
        keys |= {telling.key_of(group, each.id) for each in speak.ended}
        frames = [self._frame(key) for key in keys]
        source, _, subject = group.partition("/")
        return Frame(
            source=source,
            key=group,
            subject=subject,
            labels=_common(frames),
            locale=self._frame(source).locale,
        )


def _common(frames: Sequence[Frame]) -> dict[str, str]:
    """Give the labels that all share."""
    if not frames:
        return {}
    first, *others = (frame.labels for frame in frames)
    return {
        name: value
        for name, value in first.items()
        if all(labels.get(name) == value for labels in others)
    }


def storm_of(source: str, number: int) -> str:
    """Name a group of many, which is nobody else's: the first, second, … such name."""
    return f"{source}/{{{STORM}{f' {number}' if number else ''}}}"


def summed_up(group: str, spoken: Collection[Spoken]) -> Spoken:
    """Make one thing to say of many."""
    cases = (
        structs.replace(case, id=telling.case_id(group, case.key, case.alert))
        for each in spoken
        for case in each.speak.cases
    )
    ended = (
        Ended(_renamed(each.group, one.id), one.heard)
        for each in spoken
        for one in each.speak.ended
    )
    return Spoken(group, Speak(Why.STORM, tuple[Case, ...](cases), tuple(ended)))


def _renamed(group: str, id_: str) -> str:
    return f"{telling.key_of(group, id_)}!{id_.rpartition('!')[2]}"
