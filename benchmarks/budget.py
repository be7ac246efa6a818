"""Ten thousand watches polled at full budget by one process.

    python -m benchmarks.budget [--watches 10000] [--rate 2000] [--seconds 30]

Each watch would like a poll every 2 s, which is more than the budget: the server
counts what arrives each second once every instance has been seen.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.polls import served
from benchmarks.watches import daemon, write

POLLING = "{min_interval: 2s, max_interval: 2s}"


def measure(server: served, watches: int, seconds: int) -> list[int]:
    while server.polled() < 2 * watches:
        time.sleep(0.2)
    counts = []
    for _ in range(seconds):
        before = server.polled()
        time.sleep(1)
        counts.append(server.polled() - before)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--watches", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=30)
    arguments = parser.parse_args()
    server = served(2, pin=False)
    with tempfile.TemporaryDirectory() as name, server as url:
        directory = Path(name)
        budget = f"requests_per_second: {arguments.rate}"
        write(directory, url, arguments.watches, polling=POLLING, source=budget)
        with daemon(directory):
            counts = measure(server, arguments.watches, arguments.seconds)
    print(
        f"{arguments.watches:,} watches, budget {arguments.rate:,}/s: "
        f"{statistics.mean(counts):,.0f} polls/s on average, "
        f"{min(counts):,} to {max(counts):,} in one second"
    )


if __name__ == "__main__":
    main()
