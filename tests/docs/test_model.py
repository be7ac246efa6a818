"""The protocol of leases holds in all that can happen, and would not with less.

Within small bounds; ``make model`` searches larger ones.
"""

import os
import re
import shutil
import subprocess
from typing import Final

import pytest

from tests.docs import pages

MODEL: Final = pages.ROOT / "docs" / "model"
PAGE: Final = pages.ROOT / "docs" / "model.md"
pytestmark = pytest.mark.timeout(300)  # some seconds each, where nobody else computes

BOUNDS: Final = frozenset({"SHARDS", "EVENTS", "INSTANCES", "FAULTS", "CLOCKS"})

SEARCHES: Final = (
    "-DFAULTS=2",
    "-DFAULTS=1 -DCLOCKS",
    "-DFAULTS=1 -DEVENTS=3 -DINSTANCES=2",
    "-DFAULTS=1 -DEVENTS=1 -DSHARDS=2",
)

WRITES: Final = "change[p].epoch"
MOVES: Final = "move[p].epoch"
REPEATS: Final = "repeatable[s]"
NEEDED: Final = {
    "-DUNFENCED": WRITES,
    "-DUNFENCED_CURSOR": MOVES,
    "-DUNLOCKED": MOVES,
    "-DFAULTS=1 -DNAMELESS -DEPOCHLESS": MOVES,
    "-DSAME_EPOCH": "epoch[s]>k",
    "-DUNCOUNTED -DSHARDS=2 -DEVENTS=1": "place[k]<change[p].place",
    "-DFAULTS=1 -DGUESSING -DBLIND -DREPEATED": "change[p].value==(version[s]+1)",
    "-DEARLY": REPEATS,
    "-DREMEMBERING": "move[p].value>cursor[s]",
    "-DHASTY": REPEATS,
    "-DRELEASED_BY_NAME": REPEATS,
    "-DMOVED_FIRST": "place[",
    "-DUNORDERED": "got[s]",
    "-DCLOCKS -DCARELESS": "known[p]",
    "-DCLOCKS -DSTAMPED_LATE": "known[p]",
}
"""What is taken out, and a part of the assertion that fails then."""

SPARE: Final = (
    "-DFAULTS=1 -DNAMELESS",
    "-DFAULTS=1 -DEPOCHLESS",
    "-DFAULTS=1 -DGUESSING -DBLIND",
    "-DFAULTS=1 -DGUESSING -DREPEATED",
    "-DFAULTS=1 -DBLIND -DREPEATED",
)
"""What may be taken out, as something else protects from the same."""


def searched(
    what: str, flags: str, optimised: str = "-O1", depth: int = 100_000
) -> tuple[int, str]:
    """Give the exit code and what is said; skip aloud where spin cannot run."""
    for program in ("spin", "cc"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} here: apt-get install spin gcc")
    done = subprocess.run(
        [MODEL / "check.sh", what, *flags.split()],
        env={**os.environ, "CFLAGS": optimised, "DEPTH": str(depth)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("what", ["safety", "progress"])
@pytest.mark.parametrize("flags", SEARCHES)
def test_it_holds_whatever_happens(what: str, flags: str) -> None:
    code, said = searched(what, flags)

    assert code == 0, said
    assert "holds in all" in said


@pytest.mark.parametrize(("flags", "broken"), NEEDED.items())
def test_it_does_not_hold_without(flags: str, broken: str) -> None:
    code, said = searched("safety", flags, "-O0")

    assert code == 1, said
    assert broken in said.splitlines()[0]


def test_a_claim_that_was_not_heard_of_must_not_be_renewed() -> None:
    code, said = searched("progress", "-DRENEWED_BY_NAME -DFAULTS=1", "-O0")

    assert code == 1, said
    assert "acceptance cycle" in said.splitlines()[0]


@pytest.mark.parametrize("flags", SPARE)
def test_it_holds_as_long_as_one_of_several_protects(flags: str) -> None:
    code, said = searched("safety", flags)

    assert code == 0, said


def test_whatever_can_be_taken_out_is_tried_and_explained() -> None:
    source = (MODEL / "leases.pml").read_text(encoding="utf-8")
    named = re.findall(r"(?:#ifn?def |defined\()([A-Z_]+)", source)
    tried = " ".join([*NEEDED, "-DRENEWED_BY_NAME"])

    flags = {*named} - BOUNDS
    assert flags == {*re.findall(r"-D([A-Z_]+)", tried)} - BOUNDS
    assert flags <= {*re.findall(r"`([A-Z_]+)`", PAGE.read_text(encoding="utf-8"))}


def test_a_search_that_was_cut_short_proves_nothing() -> None:
    code, said = searched("safety", "-DFAULTS=1", "-O0", depth=20)

    assert code == 2, said
    assert "max search depth too small" in said


def test_shellcheck_has_nothing_to_say() -> None:
    program = shutil.which("shellcheck")
    if program is None:
        pytest.skip("no shellcheck here; it is a package of Debian")
    checked = subprocess.run(
        [program, MODEL / "check.sh"], capture_output=True, text=True, check=False
    )

    assert (checked.stdout, checked.returncode) == ("", 0)
