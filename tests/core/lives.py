"""The whole life of one instance, as the poller would drive it."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Final

from hypothesis import strategies as st
from msgspec import Struct

from monitor.core import state
from monitor.core.message import Message
from monitor.core.model import Snapshot
from monitor.core.state import Change, Phase, State
from tests.core import builders
from tests.core.builders import FRAME, KEY, NOW, SECOND


class Turn(StrEnum):
    GONE = "JOB knows it no more"
    RETIRED = "it settled"
    REMOVED = "its line left the watch list"


Act = Snapshot | Turn


class Chapter(Struct):
    """What one act made of *before*."""

    before: State
    act: Act
    now: datetime
    change: Change | None

    @property
    def after(self) -> State:
        return self.change.state if self.change else self.before

    @property
    def events(self) -> tuple[Message, ...]:
        return self.change.events if self.change else ()


def decided(known: State, act: Act, now: datetime) -> Change | None:
    match act:
        case Snapshot():
            return state.seen(known, act, FRAME, now)
        case Turn.GONE:
            return state.gone(known, FRAME, now)
        case Turn.RETIRED:
            return state.ended(known, Phase.RETIRED, FRAME, now)
        case Turn.REMOVED:
            return state.ended(known, Phase.UNWATCHED, FRAME, now)


BLANK: Final = State(key=str(KEY))


def lived(acts: Iterable[Act], known: State = BLANK) -> Iterator[Chapter]:
    now = NOW
    for act in acts:
        chapter = Chapter(known, act, now, decided(known, act, now))
        yield chapter
        known, now = chapter.after, now + SECOND


@st.composite
def a_life(draw: st.DrawFn) -> list[Chapter]:
    """Answers with everything between them that else may befall an instance."""
    acts: list[Act] = []
    for answer in draw(builders.answers()):
        acts += draw(st.lists(st.sampled_from(Turn), max_size=1))
        acts.append(answer)
    return [*lived(acts)]
