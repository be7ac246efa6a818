"""100,000 hosts fail at once: what one sink is sent, how much, and what it costs.

    python -m benchmarks.storms [--hosts 100000]

Notifier, dispatcher and the real store, in virtual time; the same number of hosts
in one job, in jobs of a hundred, and each in a job of its own. CPU is that of the
whole process; what recording the failures costs is measured apart.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import anyio
import looptime
import structlog

from monitor.core.model import HostId, host_id
from tests.support import log, sink, stores
from tests.support.answers import a_job, a_key
from tests.support.desk import telling_to
from tests.support.sink import RecordingSink


def addresses(first: int, count: int) -> list[HostId]:
    numbers = range(first, first + count)
    return [host_id(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 0) for n in numbers]


async def measure(jobs: int, hosts: int) -> str:
    oncall = RecordingSink()
    with tempfile.TemporaryDirectory() as name:
        async with (
            stores.opened(Path(name)) as store,
            telling_to(store, oncall) as desk,
        ):
            began = time.process_time()
            for number in range(jobs):
                rows = dict.fromkeys(addresses(number * hosts, hosts), 104)
                await log.saw(desk.recorder, a_job(4, rows), a_key(number + 1))
            recorded = time.process_time()
            await anyio.sleep(3 * 3600)
            told = time.process_time()
    data = [sink.told(message) for message in oncall.delivered]
    sizes = [len(message.data) for message in oncall.delivered]
    named = sum(len(each.alerts) + each.omitted for each in data)
    failed = sum(alert.failed for each in data for alert in each.alerts)
    last = max(when for when, _ in oncall.tried)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return (
        f"{jobs:,} jobs of {hosts:,} hosts: {len(sizes)} messages, "
        f"{sum(sizes) / 2**20:.1f} MiB, the largest {max(sizes) / 1024:.0f} KiB, "
        f"{named:,} alerts and {failed:,} failed hosts named, all told after "
        f"{last:.0f} s; CPU {recorded - began:.1f} s to record, "
        f"{told - recorded:.1f} s to tell; peak {peak} MiB so far"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hosts", type=int, default=100_000)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for each in (arguments.hosts, 100, 1):
        loop = looptime.new_event_loop()
        try:
            jobs = max(1, arguments.hosts // each)
            print(loop.run_until_complete(measure(jobs, each)), flush=True)
        finally:
            loop.close()


if __name__ == "__main__":
    main()
