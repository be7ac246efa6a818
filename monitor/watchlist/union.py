"""What the files of all machines say together.

A file's name is its path below the directory of the configuration, so that it is one
file wherever it lies; of each name the content counts that is newest. What this
machine finds is said to the others before anything is read of them: whoever watches
less than all would end what another machine's file names.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Final

import anyio
import anyio.to_thread
import structlog
from msgspec import Struct

from monitor.core import lists
from monitor.core.lists import Claim, Said
from monitor.core.watch import Place
from monitor.ports import Part, SharedLists
from monitor.watchlist import listing, parts
from monitor.watchlist.files import Files
from monitor.watchlist.listing import Listing
from monitor.watchlist.reading import Fault, Parsed

LOOK: Final = 5.0
"""Seconds between two looks at what others say, should no news come of it."""

SETTLED: Final = 15.0
"""Seconds for which machines may differ: longer than a file is copied, or not seen."""

PACE: Final = 512 * 1024
"""Bytes a second that are said of what changes, in the long run."""

ATTESTED: Final = 3600.0
"""Seconds after which a machine says anew that it is there."""

_ATTEMPTS: Final = 20
_BETWEEN: Final = 0.1
_BATCH: Final = 50

log = structlog.get_logger()


class _Mine(Struct, frozen=True):
    """One of our files, as it was read, and as it is said."""

    parsed: Parsed
    said: Said
    parts: list[Part]


class _Read(Struct, frozen=True):
    """The content of a name, whole and piece by piece."""

    digest: str
    parsed: Parsed
    pieces: Mapping[str, Parsed]


class Union:
    """*me* is this machine, also after a restart; *living* are those that take part.

    *owns* tells whether it is for this daemon to report what is wrong with a name.
    """

    def __init__(
        self,
        files: Files,
        shelf: SharedLists,
        me: str,
        *,
        directory: Path,
        sources: Sequence[str],
        living: Callable[[], Collection[str]],
        owns: Callable[[str], bool],
    ) -> None:
        self.local = Listing()
        self._files = files
        self._shelf = shelf
        self._me = me
        self._directory = directory
        self._sources = sources
        self._living = living
        self._owns = owns
        self._mine: dict[str, _Mine] = {}
        self._names: frozenset[str] = frozenset()
        self._complete = False
        self._read: dict[str, _Read] = {}
        self._next = 0.0
        self._attested = -ATTESTED
        self._lost_at: dict[tuple[str, str, str], float] = {}
        self._disputed: dict[str, Fault] = {}
        self._told: set[str] = set()
        self._known: object = None
        self._listing = Listing()

    def pause(self) -> float:
        """Say for how many seconds there is nothing to do unless somebody calls."""
        ahead = self._next - anyio.current_time()
        return min(LOOK, ahead) if ahead > 0 else LOOK

    async def listing(self) -> Listing:
        """Say what is new in our files, and give what all say.

        The same object as last time says that nothing is new. One caller at a time.
        """
        await anyio.to_thread.run_sync(self._look)
        await self._say()
        return await self._gathered()

    def _look(self) -> None:
        self.local = self._files.read()
        contents = self._files.contents()
        names = {self._name(path): path for path in contents.files}
        mine: dict[str, _Mine] = {}
        for name, path in names.items():
            found = contents.files[path]
            if found.parsed.legible:
                mine[name] = self._packed(name, found.parsed, found.rank)
        self._mine, self._names = mine, frozenset(names)
        self._complete = contents.complete

    def _packed(self, name: str, parsed: Parsed, rank: int) -> _Mine:
        before = self._mine.get(name)
        if before and before.parsed is parsed and before.said.rank == rank:
            return before
        packed = parts.packed(parsed, before.parts if before else ())
        digest = parts.whole([part.digest for part in packed])
        said = Said(digest=digest, rank=rank, faults=len(parsed.faults))
        return _Mine(parsed, said, packed)

    async def _say(self) -> None:
        now = anyio.current_time()
        if now < self._next:
            return  # a large list changes faster than it should be written
        claims = await self._shelf.claims()
        known = {each.name: each.said for each in claims if each.node == self._me}
        written = 0
        for name, mine in self._mine.items():
            if known.get(name) != mine.said:
                written += await self._publish(name, mine)
        gone = known.keys() - self._names
        if gone and self._complete:
            await self._shelf.withdraw(self._me, sorted(gone))
        if now - self._attested >= ATTESTED:
            await self._shelf.attest(self._me)
            self._attested = now
        self._next = now + written / PACE

    async def _publish(self, name: str, mine: _Mine) -> int:
        """Say what stands under *name*; tell how many bytes that may take."""
        claim = Claim(name=name, node=self._me, at=lists.NEVER, said=mine.said)
        had = {*await self._shelf.parts_of(claim)}
        await self._shelf.publish(name, self._me, mine.said, mine.parts)
        return sum(len(part.body) for part in mine.parts if part.digest not in had)

    async def _gathered(self) -> Listing:
        claims = await self._contents()
        won = lists.winners(claims)
        self._dispute(claims, won)
        faults = (*self.local.faults, *self._elsewhere(claims), *self._disputes())
        known = [(each.name, each.said.digest) for each in won], faults
        if known != self._known:
            self._listing = await anyio.to_thread.run_sync(self._joined, won, faults)
            self._known = known
        return self._listing

    def _joined(self, won: Sequence[Claim], faults: Sequence[Fault]) -> Listing:
        return listing.gather((self._read[each.name].parsed for each in won), faults)

    async def _contents(self) -> list[Claim]:
        """Read what counts, all of it; give the claims of that moment."""
        for _ in range(_ATTEMPTS):
            claims = await self._shelf.claims()
            won = lists.winners(claims)
            found = {each.name: await self._content(each) for each in won}
            read = {name: each for name, each in found.items() if each is not None}
            self._read = {**self._read, **read}
            if len(read) == len(won):
                self._read = read
                return claims
            # Somebody changed it in between: what he wrote comes next.
            await anyio.sleep(_BETWEEN)
        raise parts.damaged()

    async def _content(self, claim: Claim) -> _Read | None:
        digest, mine = claim.said.digest, self._mine.get(claim.name)
        if mine is not None and mine.said.digest == digest:
            return _Read(digest, mine.parsed, {})
        known = self._read.get(claim.name)
        if known is not None and known.digest == digest:
            return known
        wanted = await self._shelf.parts_of(claim)
        if parts.whole(wanted) != digest:
            return None
        pieces = self._pieces(claim.name)
        await self._fetch(
            claim, [each for each in wanted if each not in pieces], pieces
        )
        if not pieces.keys() >= {*wanted}:
            return None
        pieces = {each: pieces[each] for each in wanted}
        return _Read(digest, parts.joined([*pieces.values()]), pieces)

    def _pieces(self, name: str) -> dict[str, Parsed]:
        """Give what is known already of the content of *name*."""
        known, mine = self._read.get(name), self._mine.get(name)
        pieces = dict(known.pieces) if known else {}
        if mine is not None:
            digests = (part.digest for part in mine.parts)
            pieces |= zip(digests, parts.pieces(mine.parsed), strict=True)
        return pieces

    async def _fetch(
        self, claim: Claim, missing: Sequence[str], pieces: dict[str, Parsed]
    ) -> None:
        path = self._path(claim.name)

        def read(found: Sequence[Part]) -> dict[str, Parsed]:
            return {p.digest: parts.unpacked(p, path, self._sources) for p in found}

        for start in range(0, len(missing), _BATCH):
            found = await self._shelf.bodies(claim, missing[start : start + _BATCH])
            pieces |= await anyio.to_thread.run_sync(read, found)

    def _elsewhere(self, claims: Sequence[Claim]) -> Iterator[Fault]:
        """Say what those see wrong in their files who take part."""
        for each in sorted(claims, key=lambda claim: (claim.name, claim.node)):
            others = each.node != self._me and each.node in self._living()
            if others and each.said.faults:
                reason = f"{each.said.faults} quarantined on {each.node}"
                yield Fault(Place(self._path(each.name)), reason)

    def _disputes(self) -> list[Fault]:
        return [self._disputed[name] for name in sorted(self._disputed)]

    def _dispute(self, claims: Sequence[Claim], won: Sequence[Claim]) -> None:
        """Note who has had another content for long than the one that counts."""
        now, before = anyio.current_time(), self._lost_at
        lost = lists.losers(claims, {*self._living(), self._me})
        whose = {(each.name, each.node, each.said.digest): each for each in lost}
        self._lost_at = {which: before.get(which, now) for which in whose}
        nodes: dict[str, list[str]] = {}
        for (name, node, _), at in self._lost_at.items():
            if now - at >= SETTLED:
                nodes.setdefault(name, []).append(node)
        counts = {each.name: each.node for each in won}
        self._report(counts, nodes)
        self._disputed = {
            name: Fault(Place(self._path(name)), _words(counts[name], sorted(others)))
            for name, others in nodes.items()
        }

    def _report(
        self, counts: Mapping[str, str], nodes: Mapping[str, Collection[str]]
    ) -> None:
        for name in filter(self._owns, sorted(nodes.keys() - self._disputed.keys())):
            self._told.add(name)
            log.warning(
                "watchlist.differs",
                file=name,
                counts=counts[name],
                nodes=sorted(nodes[name]),
            )
        # By whoever told the one, though another may have the shard by now.
        for name in sorted(self._told - nodes.keys()):
            self._told.discard(name)
            log.info("watchlist.agrees", file=name)

    def _name(self, path: str) -> str:
        """Name the file at *path* as every machine does."""
        place = PurePath(path)
        below = place.is_relative_to(self._directory)
        return str(place.relative_to(self._directory) if below else place)

    def _path(self, name: str) -> str:
        """Say where *name* is, or would be, on this machine."""
        return str(self._directory / name)


def _words(counts: str, others: Sequence[str]) -> str:
    return (
        f"differs: what {counts} has counts, another content is on {', '.join(others)}"
    )
