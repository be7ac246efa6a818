"""What came of reading the configuration anew."""

from enum import StrEnum

from msgspec import Struct


class Result(StrEnum):
    NONE = "none"
    UNCHANGED = "unchanged"
    REPLACING = "replacing"
    CHANGED = "changed"
    REFUSED = "refused"


class ReloadData(Struct, kw_only=True, frozen=True):
    """*number* counts reloads since the start.

    *changed* names the keys that are other than before, *needs_restart* those that
    keep their old value until then. *faults* are those of a configuration that was
    refused, *quarantined* those of watch lists, at most 100. *watches*: how many
    there are in the files of this machine, of which so many were *added*, *removed* or
    are *altered*; *in_all*: how many with those of other machines. None while it is
    under way.
    """

    number: int = 0
    result: Result = Result.NONE
    changed: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    quarantined: tuple[str, ...] = ()
    watches: int | None = None
    added: int = 0
    removed: int = 0
    altered: int = 0
    in_all: int | None = None
