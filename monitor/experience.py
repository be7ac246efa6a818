"""What the daemon has learnt of one source: how long its instances run, by class.

A class is named by a string; an instance belongs to a chain of them, the narrowest
first (plan or template, else scope and name; then the scope; then the source). Every
few seconds the curves are drawn anew and the price of a look is set from the budget.
The rules are those of ``core.hazard`` and ``core.price``; nothing here decides.
"""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import sqrt
from operator import add, mul
from typing import Final, Never, Protocol, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from monitor.core import cadence, hazard, price
from monitor.core.cadence import Limits
from monitor.core.hazard import BINS, EDGES, MIDDLES, Curve, Table
from monitor.core.price import Group, Price

T = TypeVar("T")

Kinds = Sequence[str]
"""The classes of an instance, narrowest first; the same first, the same others."""

Running = tuple[Kinds, float, float]
"""Of a watch whose instance has not finished: its classes, age and weight."""

_ENOUGH: Final = 10
# Ends of one class that say when a run of it is late: of fewer, the slowest one in
# twenty is anybody's guess.
_TELLING: Final = 20
_PERIOD: Final = 5.0
_SAVED_EVERY: Final = 60.0
# Rounds of repricing until a class that had no end is drawn anew all the same.
_LAZY: Final = 6
# Watches, and classes, dealt with before the loop may do something else: 1 ms or so.
_SLICE: Final = 2000
_FEW: Final = 25
# Classes that are saved together, and read: the store has others to serve as well.
_LOT: Final = 100
_PAGE: Final = 500


class Shelf(Protocol):
    """Where tables outlive the daemon."""

    async def newest(self, source: str, most: int) -> Sequence[str]:
        """Name the classes that were learnt of last, the latest first."""
        ...

    async def learnt(self, keys: Collection[str]) -> Mapping[str, Table]: ...

    async def keep(
        self, source: str, learnt: Mapping[str, Table], known: Mapping[str, Table]
    ) -> Mapping[str, Table]:
        """Add what was *learnt* of some classes to what others did.

        Where that is forgotten, all that is *known* here is kept. Gives what is there
        by now.
        """
        ...


class _Class:
    """One class: its table, who runs in it, and what is drawn from both.

    *unsaved* is what of its table was learnt since it was last saved.
    """

    __slots__ = (
        "changed",
        "curve",
        "drawn",
        "fading",
        "hazards",
        "key",
        "parent",
        "running",
        "table",
        "unsaved",
    )

    def __init__(self, key: str, table: Table, parent: "_Class | None") -> None:
        self.key = key
        self.table = table
        self.unsaved = Table()
        self.parent = parent
        self.running: Sequence[float] = ()
        self.fading = 0.0
        self.hazards = hazard.hazards([])
        self.curve = _BLANK
        self.drawn = -_LAZY
        self.changed = False

    def learn(self, seconds: float) -> None:
        self.table = hazard.ended(self.table, seconds, self.fading)
        self.unsaved = hazard.ended(self.unsaved, seconds, self.fading)
        self.changed = True

    def to_save(self) -> Table:
        """Give what was learnt since, once: whoever asked may be cancelled, it is saved."""
        learnt, self.unsaved = self.unsaved, Table()
        return learnt

    def hear(self, saved: Table) -> None:
        """Take up what all have learnt, as it is *saved*."""
        self.table = hazard.merged(saved, self.unsaved)
        self.changed = True

    def draw(self, turn: int) -> None:
        """Bring hazards and curve up to date, at most once a *turn*."""
        age = turn - self.drawn
        if self.parent is None or not age or (age < _LAZY and not self.changed):
            return
        self.drawn, self.changed = turn, False
        self.parent.draw(turn)
        self.fading = hazard.fading(self.table, self.running)
        known = hazard.joined(self.table, self.running, self.fading)
        self.hazards = hazard.refined(self.parent.hazards, known)
        self.curve = hazard.curve(self.hazards)

    def line(self) -> Iterator["_Class"]:
        """Give this class and those above it, but for the one of nothing."""
        kind = self
        while kind.parent is not None:
            yield kind
            kind = kind.parent


class _Crowd:
    """Those of one class that run, by bin of age: how many, and the sum of √weight."""

    __slots__ = ("count", "kind", "roots")

    def __init__(self, kind: _Class) -> None:
        self.kind = kind
        self.count = [0.0] * BINS
        self.roots = [0.0] * BINS


_BLANK: Final = hazard.curve(hazard.hazards([]))


class Experience:
    """*limits* are those of most watches: the price counts with them.

    At most *most* classes are remembered, those that were used last; *daemons* says
    how many there are, each of which has an equal part of what runs. *wanted*: how many
    looks a second the unlearnt rule would spend on ours; None: it has yet to be counted.
    """

    def __init__(
        self,
        source: str,
        shelf: Shelf,
        *,
        limits: Limits | None = None,
        most: int = 2000,
        daemons: Callable[[], int] = lambda: 1,
    ) -> None:
        self._daemons = daemons
        self.wanted: float | None = None
        self._source = source
        self._shelf = shelf
        self._limits = limits or Limits()
        self._most = most
        # In the order of their last use, parents after their children. A class is
        # made by its first end: many names are used once, and need not be kept.
        self._classes: dict[str, _Class] = {}
        self._nothing = _Class("", Table(), None)
        # What was remembered and not used since.
        self._stored: dict[str, Table] = {}
        self._price = Price()
        self._bound = False
        self._turn = 0

    async def remember(self) -> None:
        """Take up what was known before the restart, or learnt by other daemons.

        What is used here hears of it when it is saved.
        """
        newest = await self._shelf.newest(self._source, self._most)
        room = self._most - len(self._classes)
        unused = [key for key in newest if key not in self._classes][:room]
        for page in _parts(unused[::-1], _PAGE):
            self._take_up(await self._shelf.learnt(page))

    def _take_up(self, saved: Mapping[str, Table]) -> None:
        for key, table in saved.items():
            if key in self._classes:
                self._classes[key].hear(table)
            else:
                self._stored.pop(key, None)
                self._stored[key] = table
        self._trim()

    @property
    def remembered(self) -> int:
        """Count the classes of which anything is remembered."""
        return len(self._classes) + len(self._stored)

    @property
    def theta(self) -> float:
        """The price of a look; 0 until there is one."""
        return self._price.theta

    def curve(self, kinds: Kinds) -> Curve:
        """Give what is known of the narrowest of *kinds*, a few seconds old at most.

        Of one where nothing has ended, half a minute.
        """
        kind = self._nearest(kinds)
        if kind.drawn != self._turn:
            kind.draw(self._turn)
        return kind.curve

    def learnt(self, kinds: Kinds) -> bool:
        """Say whether to go by the price.

        It is so once ten completions stand behind one of *kinds*; and from the
        first where the budget binds, since the unlearnt rule knows no budget.
        """
        return self._price.calm > 0 and (
            self._bound or any(self._table(key).completions >= _ENOUGH for key in kinds)
        )

    def percentile(self, kinds: Kinds, percent: float) -> float | None:
        """Say within how many seconds *percent* of the narrowest of *kinds* ended.

        None until enough of them did.
        """
        table = self._table(kinds[0])
        # What is forgotten of the first is a few hundredths by then.
        if round(table.completions) < _TELLING:
            return None
        return hazard.percentile(table, percent)

    def saw_end(self, kinds: Kinds, seconds: float) -> None:
        """Learn that an instance of *kinds* ended *seconds* after its start, once."""
        for kind in self._used(kinds).line():
            kind.learn(seconds)

    def interval(
        self,
        kinds: Kinds,
        age: float,
        weight: float,
        limits: Limits,
        luck: float,
        *,
        since: float | None = None,
    ) -> float:
        """Say in how many seconds to look again at an instance of *age*.

        *since* is the age of the step under way, where it is known. Without a price
        the interval is that of the unlearnt rule.
        """
        since = age if since is None else since
        theta = self._price.theta
        if theta <= 0:
            return cadence.interval(age, since, limits, luck)
        stride = theta if weight == 1.0 else theta / sqrt(weight)
        return cadence.learnt(
            self.curve(kinds),
            age,
            stride,
            limits,
            luck,
            since=since,
            stretch=self._price.stretch,
        )

    def value(self, kinds: Kinds, age: float, weight: float, unseen: float) -> float:
        """Say what a look is worth now, *unseen* seconds after the last one."""
        slope = self.curve(kinds).slopes[hazard.bin_of(age)]
        return price.value(slope * slope, weight, unseen)

    def reprice(self, active: Iterable[Running], rate: float, lag: float) -> None:
        """Count those that run, and set the price so that they take *rate* a second.

        *lag* is how late, in seconds, what is due is looked at. Never more is spent
        than by the unlearnt rule, so that learning is no excuse for asking more; a
        *rate* without bound means just that. Without anybody, or anything to spend,
        the last price stands.
        """
        for _ in self._reprice(active, rate, lag):
            pass

    async def run(
        self,
        active: Callable[[], Iterable[Running]],
        rate: Callable[[], float],
        lag: Callable[[], float],
    ) -> Never:
        """Reprice every 5 s; save what changed every minute."""
        saved_at = anyio.current_time()
        while True:
            # Listed first: what is active may change while others have their turn.
            for _ in self._reprice([*active()], rate(), lag()):
                await checkpoint()
            if anyio.current_time() - saved_at >= _SAVED_EVERY:
                saved_at = anyio.current_time()
                await self.save()
            await anyio.sleep(_PERIOD)

    async def save(self) -> None:
        """Add to the shelf what was learnt since, and hear what others have learnt."""
        changed = [kind for kind in self._classes.values() if kind.unsaved.deaths]
        for lot in _parts(changed, _LOT):
            learnt = {kind.key: kind.to_save() for kind in lot}
            known = {kind.key: kind.table for kind in lot}
            self._take_up(await self._shelf.keep(self._source, learnt, known))

    def _reprice(
        self, active: Iterable[Running], rate: float, lag: float
    ) -> Iterator[None]:
        """Do it in slices, so that visits need not wait for the whole."""
        crowds: dict[_Class, _Crowd] = {}
        yield from self._count(active, crowds)
        self._turn += 1
        self._tell(crowds)
        groups: list[Group] = []
        spent = self._unlearnt(crowds.values())
        self.wanted = spent
        for done, crowd in enumerate(crowds.values(), 1):
            crowd.kind.draw(self._turn)
            groups += self._groups(crowd)
            if done % _FEW == 0:
                yield
        if groups and rate > 0:
            self._bound = rate < spent
            self._price = _priced(self._price, groups, min(rate, spent), lag)

    def _count(
        self, active: Iterable[Running], crowds: dict[_Class, _Crowd]
    ) -> Iterator[None]:
        by_key: dict[str, _Crowd] = {}
        for done, (kinds, age, weight) in enumerate(active, 1):
            crowd = by_key.get(kinds[0])
            if crowd is None:
                kind = self._nearest(kinds)
                self._touch(kind)
                crowd = crowds.get(kind) or crowds.setdefault(kind, _Crowd(kind))
                by_key[kinds[0]] = crowd
            # As ``hazard.bin_of``, without the call: this is done for each watch.
            place = bisect_right(EDGES, age, 1, BINS) - 1
            crowd.count[place] += 1.0
            crowd.roots[place] += 1.0 if weight == 1.0 else sqrt(weight)
            if done % _SLICE == 0:
                yield

    def _tell(self, crowds: Mapping[_Class, _Crowd]) -> None:
        """Tell each class who runs in it, those of its children included."""
        running: dict[_Class, list[float]] = {}
        for crowd in crowds.values():
            for kind in crowd.kind.line():
                others = running.get(kind)
                running[kind] = (
                    [*map(add, others, crowd.count)] if others else crowd.count
                )
        # The tables count the ends at all daemons; those that run are known here alone.
        daemons = self._daemons()
        for kind in self._classes.values():
            kind.running = [daemons * count for count in running.get(kind, ())]

    def _unlearnt(self, crowds: Iterable[_Crowd]) -> float:
        """Say how many looks a second the unlearnt rule would spend on *crowds*."""
        looks = [1 / cadence.interval(age, age, self._limits, 0.5) for age in MIDDLES]
        spent = sum(sum(map(mul, crowd.count, looks)) for crowd in crowds)
        return spent / price.SPENT

    def _groups(self, crowd: _Crowd) -> Iterator[Group]:
        slopes = crowd.kind.curve.slopes
        for place, count in enumerate(crowd.count):
            if count:
                age = MIDDLES[place]
                floor, cap = cadence.bounds(age, self._limits, since=age)
                pull = slopes[place] * crowd.roots[place] / count
                yield Group(count, pull, floor, cap)

    def _table(self, key: str) -> Table:
        kind = self._classes.get(key)
        return self._stored.get(key, Table()) if kind is None else kind.table

    def _nearest(self, kinds: Kinds) -> _Class:
        """Find the narrowest of *kinds* of which anything is known."""
        for place, key in enumerate(kinds):
            kind = self._classes.get(key)
            if kind is not None:
                return kind
            if key in self._stored:
                return self._used(kinds[place:])
        return self._nothing

    def _used(self, kinds: Kinds) -> _Class:
        """Give the narrowest of *kinds*, all of them made where they are missing."""
        kind = self._nothing
        for key in reversed(kinds):
            known = self._classes.get(key)
            if known is None:
                known = _Class(key, self._stored.pop(key, Table()), kind)
                self._classes[key] = known
            kind = known
        self._touch(kind)
        self._trim()
        return kind

    def _touch(self, kind: _Class) -> None:
        for used in kind.line():
            self._classes[used.key] = self._classes.pop(used.key, used)

    def _trim(self) -> None:
        """Forget here: others may use it yet, and the shelf has its own bounds."""
        while self.remembered > self._most:
            oldest = next(iter(self._stored or self._classes))
            self._stored.pop(oldest, None)
            self._classes.pop(oldest, None)


def _parts(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def _priced(before: Price, groups: Sequence[Group], rate: float, lag: float) -> Price:
    stretched = price.stretch(groups, rate)
    if stretched > 1:
        groups = [replace(group, cap=group.cap * stretched) for group in groups]
    balanced = price.balancing(groups, rate)
    return price.after(before, balanced, lag, stretched=stretched)
