"""Which of several machines' files counts: for each name the content that is newest.

A name is a file wherever it lies; what one machine has under it may differ from what
another has.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

EMPTY: Final = ""
"""The digest of a file that names nothing."""

NEVER: Final = 0.0

RECENT: Final = 600.0
"""Seconds for which machines may be behind one another: what one had is not new yet
where another comes to have it."""

MOST_FORMER: Final = 64

_LATER: Final = 0.001


class Said(Struct, frozen=True, kw_only=True):
    """What a machine finds in one of its files.

    *rank*: which of its patterns names the file; *faults*: how many of its entries
    cannot be used.
    """

    digest: str
    rank: int = 0
    faults: int = 0


class Former(Struct, frozen=True):
    """A content that a machine had since *at*, until then."""

    digest: str
    at: float
    until: float


class Claim(Struct, frozen=True, kw_only=True):
    """What the machine *node* found under *name*, since when it says so, and said before.

    Moments are on the clock of the database.
    """

    name: str
    node: str
    at: float
    said: Said
    past: tuple[Former, ...] = ()


def since(
    said: Said, mine: Claim | None, others: Collection[Claim], now: float
) -> float:
    """Say since when this content holds, of one name.

    What a machine said before is nothing new, however often it reads it, nor is what
    others came to have before it, as where it reads an old copy. Of a machine that
    never said anything an empty file is no word against theirs. Any other content is
    newer than all that is known, also where the clock was set back.
    """
    if mine is not None and mine.said.digest == said.digest:
        return mine.at
    if mine is None and others and said.digest == EMPTY:
        return NEVER
    if same := _same(said, mine, others, now):
        return max(same)
    known = (each.at for each in (*others, *([mine] if mine else [])))
    return max(now, *(at + _LATER for at in known), NEVER)


def past(said: Said, mine: Claim | None, now: float) -> tuple[Former, ...]:
    """Say what a machine had before it came to say this."""
    if mine is None:
        return ()
    left = Former(mine.said.digest, mine.at, now)
    before = mine.past if mine.said.digest == said.digest else (*mine.past, left)
    recent = [each for each in before if each.until > now - RECENT]
    return tuple(recent[-MOST_FORMER:])


def _returns(said: Said, mine: Claim, now: float) -> bool:
    """Tell whether somebody went back to what this machine had."""
    return any(True for _ in _had(said.digest, [mine], now))


def _same(
    said: Said, mine: Claim | None, others: Collection[Claim], now: float
) -> list[float]:
    """Say since when others have or had it, where that makes it nothing new."""
    have, had = _have(said.digest, others), _had(said.digest, others, now)
    if mine is None:
        # What nobody has any more may have been left for something older.
        return [*have] or [*had]
    if _returns(said, mine, now):
        return []
    return [*(at for at in have if at >= now - RECENT), *had]


def _have(digest: str, claims: Iterable[Claim]) -> Iterator[float]:
    """Say since when others have it."""
    return (each.at for each in claims if each.said.digest == digest)


def _had(digest: str, claims: Iterable[Claim], now: float) -> Iterator[float]:
    """Say since when others had it that left it not long ago."""
    for claim in claims:
        for each in claim.past:
            if each.digest == digest and each.until > now - RECENT:
                yield each.at


def winners(claims: Iterable[Claim]) -> list[Claim]:
    """Choose the newest content of each name, in the order in which files are read."""
    newest: dict[str, Claim] = {}
    for claim in claims:
        known = newest.setdefault(claim.name, claim)
        if _age(claim) > _age(known):
            newest[claim.name] = claim
    return sorted(newest.values(), key=lambda each: (each.said.rank, each.name))


def _age(claim: Claim) -> tuple[float, str, str]:
    return claim.at, claim.said.digest, claim.node


def losers(claims: Iterable[Claim], living: Collection[str]) -> list[Claim]:
    """List what the *living* have that does not count, for another content is newer."""
    every = [*claims]
    digests: Mapping[str, str] = {w.name: w.said.digest for w in winners(every)}
    return [
        each
        for each in every
        if each.node in living and each.said.digest != digests[each.name]
    ]
