"""One file being read: what it yields, and what could not be understood.

Equal parts of the watches (scopes, labels, options) become one object: a list of
100,000 entries says the same few things over and over.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct, structs

from monitor.core.discovery import Rule
from monitor.core.model import InstanceKey
from monitor.core.watch import NO_OPTIONS, Options, Place, Watch
from monitor.watchlist.entry import NOTHING, Beside, Draft

MOST_FAULTS: Final = 1000
"""Of one file; further ones are only counted."""

LONGEST_REASON: Final = 256

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = re.compile(r"[\udc80-\udcff]")

Entry = tuple[InstanceKey, Beside]


class Unfit(ValueError):
    """What was written cannot be used; line and column count from 1.

    Where an entry raises it the entry is quarantined, otherwise the file.
    """

    def __init__(
        self, reason: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(reason)
        self.line = line
        self.column = column


class Fault(Struct, frozen=True, order=True, gc=False):
    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


class Parsed(Struct, frozen=True, kw_only=True):
    """*legible*: False where the faults concern the file and not its entries."""

    watches: tuple[Watch, ...] = ()
    rules: tuple[Rule, ...] = ()
    faults: tuple[Fault, ...] = ()
    legible: bool = True


class Reading:
    def __init__(self, path: str, sources: tuple[str, ...]) -> None:
        self.sources = sources
        self.defaults = NOTHING
        self.besides: dict[str, Beside] = {}
        self._path = path
        self._watches: list[Watch] = []
        self._rules: list[Rule] = []
        self._faults: list[Fault] = []
        self._uncounted = 0
        self._labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        self._options: dict[Options, Options] = {NO_OPTIONS: NO_OPTIONS}

    def draft(self) -> Draft:
        return Draft(self.sources, self.defaults)

    def lines(self, content: bytes) -> Iterator[tuple[int, str]]:
        """Number the lines that say something; what is not UTF-8 becomes a fault."""
        if content.startswith(_UTF_16):
            raise Unfit("is UTF-16: save it as UTF-8")
        text = content.decode("utf-8-sig", "surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.isspace():
                continue
            if not line.isascii() and (undecoded := _UNDECODED.search(line)):
                self.fault("is not UTF-8", number, undecoded.start() + 1)
            else:
                yield number, line.removesuffix("\r")

    def entries(
        self, lines: Iterable[tuple[int, str]], entry: Callable[[str], Entry | None]
    ) -> None:
        """Take an entry from each line; *entry* finds none in a comment."""
        for number, line in lines:
            try:
                if found := entry(line):
                    self.add(*found, number)
            except ValueError as error:
                self.fault(error, number)

    def add(
        self, key: InstanceKey, beside: Beside, line: int, column: int | None = None
    ) -> None:
        self._watches.append(
            Watch(
                key=InstanceKey(
                    sys.intern(key.source),
                    sys.intern(key.scope_type),
                    sys.intern(key.scope_id),
                    key.job_instance_id,
                ),
                labels=beside.labels,
                options=beside.options,
                place=Place(self._path, line, column),
            )
        )

    def add_rule(self, rule: Rule, line: int, column: int) -> None:
        place = Place(self._path, line, column)
        self._rules.append(structs.replace(rule, place=place))

    def beside(self, draft: Draft) -> Beside:
        """Finish *draft*, in objects that others hold too."""
        beside = draft.beside()
        words = tuple(beside.labels.items())
        return Beside(
            labels=self._labels.setdefault(words, beside.labels),
            options=self._options.setdefault(beside.options, beside.options),
            source=beside.source,
        )

    def fault(
        self,
        reason: ValueError | str,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        """Note what is wrong, at its own place if it knows one."""
        if len(self._faults) >= MOST_FAULTS:
            self._uncounted += 1
            return
        if isinstance(reason, Unfit):
            line, column = reason.line or line, reason.column or column
        text = str(reason)
        if len(text) > LONGEST_REASON:
            text = f"{text[: LONGEST_REASON - 2]} …"
        self._faults.append(Fault(Place(self._path, line, column), text))

    def parsed(self, *, legible: bool) -> Parsed:
        if self._uncounted:
            more = Fault(Place(self._path), f"{self._uncounted} more faults")
            self._faults.append(more)
        return Parsed(
            watches=tuple(self._watches),
            rules=tuple(self._rules),
            faults=tuple(self._faults),
            legible=legible,
        )
