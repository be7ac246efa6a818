"""One file being read: gathers its watches and faults, and bounds them.

Equal parts of the watches (scopes, labels, options) become one object: a list of
100,000 entries says the same few things over and over.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from monitor.core.model import InstanceKey
from monitor.core.watch import NO_OPTIONS, Options, Place, Watch
from monitor.watchlist import parsed
from monitor.watchlist.entry import NOTHING, Beside, Draft
from monitor.watchlist.parsed import Fault, Parsed, Unfit

MOST_FAULTS: Final = 1000
"""Of one file; further ones are only counted."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = re.compile(r"[\udc80-\udcff]")

Entry = tuple[InstanceKey, Beside]


class Reading:
    def __init__(self, path: str, sources: tuple[str, ...]) -> None:
        self.sources = sources
        self.defaults = NOTHING
        self.besides: dict[str, Beside] = {}
        self._path = path
        self._watches: list[Watch] = []
        self._faults: list[Fault] = []
        self._uncounted = 0
        self._labels: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
        self._options: dict[Options, Options] = {NO_OPTIONS: NO_OPTIONS}

    def draft(self) -> Draft:
        return Draft(self.sources, self.defaults)

    def each_line(
        self, content: bytes, entry: Callable[[str, "Reading"], Entry | None]
    ) -> None:
        """Read a format in which every entry is a line; *entry* finds none in a comment."""
        for number, line in self.lines(content):
            try:
                if found := entry(line, self):
                    self.add(*found, number)
            except ValueError as error:
                self.fault(error, number)

    def lines(self, content: bytes) -> Iterator[tuple[int, str]]:
        """Number the lines that say something; what is not UTF-8 becomes a fault."""
        if content.startswith(_UTF_16):
            raise Unfit("is UTF-16: save it as UTF-8")
        text = content.decode("utf-8-sig", "surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.isspace():
                continue
            if not line.isascii() and (undecoded := _UNDECODED.search(line)):
                error = Unfit("is not UTF-8", column=undecoded.start() + 1)
                self.fault(error, number)
            else:
                yield number, line.removesuffix("\r")

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

    def shared(self, beside: Beside) -> Beside:
        """Give the same content as *beside*, in objects that others hold too."""
        words = tuple(beside.labels.items())
        return Beside(
            labels=self._labels.setdefault(words, beside.labels),
            options=self._options.setdefault(beside.options, beside.options),
            source=beside.source,
        )

    def fault(
        self, error: ValueError, line: int | None = None, column: int | None = None
    ) -> None:
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(parsed.fault(self._path, error, line, column))
        else:
            self._uncounted += 1

    def parsed(self, *, legible: bool) -> Parsed:
        if self._uncounted:
            more = Fault(Place(self._path), f"{self._uncounted} more faults")
            self._faults.append(more)
        return Parsed(
            watches=tuple(self._watches), faults=tuple(self._faults), legible=legible
        )
