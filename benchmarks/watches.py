"""A hundred thousand watches: memory, and the time from start to the first poll.

    python -m benchmarks.watches [--watches 100000] [--settle 60] [--overdue]

Starts ``job-monitor run`` as an operator would, on a .txt list, with the log sink
writing to nowhere, twice on the same store: the first run sees every instance for
the first time, the second remembers them all. With ``--overdue`` every job has been
running for too long already, so that each first sight is an incident of which the
log is told; without, nothing is wrong with any.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.polls import served

CONFIGURATION = """\
sources:
  prod:
    api: esb-v2
    url: {url}
    app_code: x
    app_secret: secret
    username: admin
    {source}
watch_lists: [watches.txt]
polling: {polling}
"""


def write(
    directory: Path,
    url: str,
    watches: int,
    *,
    polling: str = "{min_interval: 2s, max_interval: 60s}",
    source: str = "",
) -> None:
    lines = (f"2/{20000000 + n} team=web\n" for n in range(watches))
    (directory / "watches.txt").write_text("".join(lines))
    text = CONFIGURATION.format(url=url, polling=polling, source=source)
    (directory / "monitor.yaml").write_text(text)


@contextmanager
def daemon(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "monitor", "run", "--config", "monitor.yaml"]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def seconds(process: subprocess.Popen[bytes]) -> float:
    """Read how much CPU time was taken."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: subprocess.Popen[bytes], field: str) -> float:
    """Read VmRSS or VmHWM in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1000


def measure(directory: Path, server: served, settle: float) -> str:
    polled = server.polled()
    started = time.perf_counter()
    with daemon(directory) as process:
        while server.polled() == polled:
            time.sleep(0.01)
        first, cpu = time.perf_counter() - started, seconds(process)
        time.sleep(settle)
        polls, cpu = server.polled() - polled, seconds(process) - cpu
        resident, peak = memory(process, "VmRSS"), memory(process, "VmHWM")
    return (
        f"first poll after {first:.1f} s, {resident:.0f} MB resident after "
        f"{settle:.0f} s (peak {peak:.0f} MB), {polls:,} polls, "
        f"{1000 * cpu / polls:.2f} ms of CPU time each"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--watches", type=int, default=100_000)
    parser.add_argument("--settle", type=float, default=60.0)
    parser.add_argument("--overdue", action="store_true")
    arguments = parser.parse_args()
    running = 86_400.0 if arguments.overdue else 60.0
    server = served(2, pin=False, running=running)
    with tempfile.TemporaryDirectory() as name, server as url:
        directory = Path(name)
        write(directory, url, arguments.watches)
        for run in ("new", "restarted"):
            print(f"{arguments.watches:,} watches, {run}: ", end="", flush=True)
            print(measure(directory, server, arguments.settle))


if __name__ == "__main__":
    main()
