"""Which of several machines' files counts: for each name the content that is newest.

A name is a file wherever it lies; what one machine has under it may differ from what
another has.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import Struct

EMPTY: Final = ""
"""The digest of a file that names nothing."""

NEVER: Final = 0.0

_LATER: Final = 0.001


class Said(Struct, frozen=True, kw_only=True):
    """What a machine finds in one of its files.

    *rank*: which of its patterns names the file; *faults*: how many of its entries
    cannot be used.
    """

    digest: str
    rank: int = 0
    faults: int = 0


class Claim(Struct, frozen=True, kw_only=True):
    """What the machine *node* found under *name*, and since when it says so.

    *at* is on the clock of the database.
    """

    name: str
    node: str
    at: float
    said: Said


def since(
    said: Said, mine: Claim | None, others: Collection[Claim], now: float
) -> float:
    """Say since when this content holds, of one name.

    What a machine said before is nothing new, however often it reads it. Of a machine
    that never said anything, what others say is as old as there, and an empty file is
    no word against theirs. Any other content is newer than all that is known, also
    where the clock was set back.
    """
    if mine is not None and mine.said.digest == said.digest:
        return mine.at
    if mine is None:
        if same := [each.at for each in others if each.said.digest == said.digest]:
            return max(same)
        if others and said.digest == EMPTY:
            return NEVER
    known = (each.at for each in (*others, *([mine] if mine else [])))
    return max(now, *(at + _LATER for at in known), NEVER)


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
