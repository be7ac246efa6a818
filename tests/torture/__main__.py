"""Several daemons on one database, tortured; what was promised, held against it.

Starts a PostgreSQL of its own, a simulated JOB, a receiver of webhooks and several
daemons, each behind a proxy of its own to the database and, where libfaketime is
installed, each with a clock an hour from the next one's. Kills, stops, severs and
blinds them by a schedule that follows from the seed, restarts the database under
them, then waits until all is quiet and compares:

  what JOB truly did          with what is on record, and what people were told
  what is on record           with what the receiver took, in which order, how often
  who wrote each row          with whom the lease of its shard named at that COMMIT
  when a daemon was struck    with when others had each of its shards

Ends with 1 if a promise was broken; every breach is named.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import anyio
import msgspec
import pytest

from tests.torture import campaign, figures
from tests.torture.members import library
from tests.torture.schedule import Plan

USUAL = Plan()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--daemons",
        type=int,
        default=USUAL.daemons,
        metavar="N",
        help=_usual("daemons"),
    )
    add(
        "--instances",
        type=int,
        default=USUAL.instances,
        metavar="N",
        help="half of them begin at once, the others in waves; " + _usual("instances"),
    )
    for name, what in (
        ("kills", "SIGKILL, and a new start"),
        ("stops", "SIGSTOP for 15 to 18 s, longer than the lease, then SIGCONT"),
        ("drains", "SIGTERM, and a new start"),
        ("severs", "all connections of one daemon cut"),
        ("restarts", "a crash of the database"),
        ("holes", "nothing passes between one daemon and the database"),
    ):
        usual = f"{what}; {_usual(name)}"
        add(
            f"--{name}", type=int, default=getattr(USUAL, name), metavar="N", help=usual
        )
    for name, what in (
        ("hole_seconds", "how long a hole lasts"),
        ("skew", "seconds between the clocks of two daemons; 0: none"),
        ("duration", "seconds over which all this is spread, at least"),
        ("beat", "seconds that a state of an instance lasts, at most"),
        ("patience", "how long all may take to be told once nothing is wrong"),
        ("slack", "how long after two looks, at most, somebody has surely looked"),
        ("max_interval", "seconds between two looks at an instance, at most"),
    ):
        option, usual = f"--{name.replace('_', '-')}", f"{what}; {_usual(name)}"
        add(option, type=float, default=getattr(USUAL, name), metavar="S", help=usual)
    add("--seed", type=int, default=USUAL.seed, metavar="N", help=_usual("seed"))
    add(
        "--directory",
        type=Path,
        metavar="DIR",
        help="an empty one, for configurations and logs of the daemons; a temporary one",
    )
    add("-o", dest="output", choices=("table", "json"), default="table")
    return parser.parse_args()


def _usual(name: str) -> str:
    return f"{getattr(USUAL, name):g} if not said"


def main() -> int:
    arguments = vars(parsed())
    output, given = arguments.pop("output"), arguments.pop("directory")
    plan = Plan(**arguments)
    if plan.skew and library() is None:
        _say("libfaketime is not installed (Debian: faketime): all clocks are the same")
    with tempfile.TemporaryDirectory(prefix="job-monitor-") as made:
        directory = given or Path(made)
        directory.mkdir(exist_ok=True)
        try:
            found = anyio.run(
                campaign.run,
                plan,
                directory,
                _say,
                backend_options={"use_uvloop": True},
            )
        except pytest.skip.Exception as why:
            _say(f"cannot run: {why}")
            return 2
    print(_written(found, output))  # noqa: T201
    return 1 if found.breaches else 0


def _written(found: figures.Figures, output: str) -> str:
    if output == "json":
        return msgspec.json.format(msgspec.json.encode(found)).decode()
    return figures.table(found)


BEGAN = time.monotonic()  # noqa: TID251 - for people alone


def _say(what: str) -> None:
    seconds = time.monotonic() - BEGAN  # noqa: TID251
    print(f"{seconds:7.1f} s  {what}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
