"""A quota of 20 requests a second, shared by 5,000 watches.

    python -m benchmarks.quota [--watches 5000] [--minutes 20]

The whole daemon on the simulator, on real sockets in virtual time, without any rate
configured: through the gateway, which says its quota in headers, and through the
bus, which says it only when it is exceeded. Even lateness shows in how many looks
each instance got.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import anyio
import looptime
import structlog

from monitor.job.ask import Api
from monitor.simulator.quota import Quota
from monitor.simulator.scenarios import Parts
from tests.conformance import daemon
from tests.support import worlds

QUOTA = Quota(limit=20)
POLLING = {"early_failures": "0s", "sweep": "off"}


async def measure(api: Api, watches: int, seconds: float) -> str:
    world = worlds.this_morning(quota=QUOTA)
    for _ in range(watches):
        world.play("hang", parts=Parts(beat=1e6))
    with tempfile.TemporaryDirectory() as name:
        async with daemon.running(api, world, Path(name), polling=POLLING) as heard:
            started, first = anyio.current_time(), world.record.total
            await anyio.sleep(seconds)
            asked = world.record.total - first
            rate = asked / (anyio.current_time() - started)
        told = Counter(heard.events)
    looks = sorted(world.record.instances.values())
    share = 100 * world.record.throttled / world.record.total
    return (
        f"{api}: {asked:,} calls after the first looks, {rate:.1f} a second, "
        f"{world.record.throttled} of all throttled ({share:.2f} %), "
        f"{looks[0]} to {looks[-1]} looks at each, told: {dict(told)}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--watches", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=20.0)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    apis: tuple[Api, ...] = ("gateway-v4", "gateway-v3", "esb-v3", "esb-v2")
    for api in apis:
        loop = looptime.new_event_loop()
        try:
            seconds = 60 * arguments.minutes
            print(loop.run_until_complete(measure(api, arguments.watches, seconds)))
        finally:
            loop.close()


if __name__ == "__main__":
    main()
