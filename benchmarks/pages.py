"""What a page and a list cost: 10,000 instances with 100 hosts each.

    python -m benchmarks.pages [--instances 10000] [--hosts 100] [--rounds 20]

Fills a store, starts ``job-monitor run`` on it with a source that nobody answers for,
and asks for each page as a browser would. One instance in ten has failed hosts.
"""

import argparse
import asyncio
import socket
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.watches import daemon, write
from monitor.clock import utc_now
from monitor.core.alerts import Alert, Name
from monitor.core.clusters import Tail
from monitor.core.model import Failure, HostId, Snapshot, Step
from monitor.core.state import Change, State
from monitor.core.transitions import Attempt
from monitor.core.watch import Severity
from monitor.store import opening

PATHS = (
    "/",
    "/?sort=changed",
    "/?meaning=failed",
    "/?q=deploy+99",
    "/?match=team%3Dweb",
    "/instances/prod/biz/2/20000010",
    "/sources",
    "/sinks",
    "/api/v1/status",
    "/api/v1/instances?limit=100",
    "/api/v1/alerts?limit=100",
    "/api/v1/events?limit=100",
)


async def fill(directory: Path, instances: int, hosts: int) -> None:
    now = utc_now()
    named = [HostId(f"0:10.0.{n // 250}.{n % 250 + 1}") for n in range(hosts)]
    async with opening.opened(f"sqlite:///{directory / 'monitor.db'}") as store:
        for number in range(instances):
            bad = number % 10 == 0
            failures = dict.fromkeys(named[:5], Failure(104, 0, 1)) if bad else {}
            step = Step(
                step_instance_id=7,
                status=4 if bad else 2,
                name="run script",
                hosts={host: 104 if host in failures else 7 for host in named},
                failures=failures,
            )
            alert = Alert(
                name=Name.HOSTS_FAILED,
                severity=Severity.CRITICAL,
                since=now,
                attempt=Attempt(7, 0, "run script"),
                failed=5,
                total=hosts,
            )
            state = State(
                key=f"prod/biz/2/{20000000 + number}",
                version=1,
                snapshot=Snapshot(
                    status=4 if bad else 2, name=f"deploy {number}", steps=(step,)
                ),
                alerts={alert.id: alert} if bad else {},
                tails={7: {named[0]: Tail(0, "No space left on device")}}
                if bad
                else {},
                changed_at=now,
            )
            await store.commit(Change(state=state))


def ready(url: str) -> None:
    while True:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)


def asked(url: str) -> tuple[float, int]:
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=60) as answer:
        size = len(answer.read())
    return time.perf_counter() - began, size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--instances", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        asyncio.run(fill(directory, arguments.instances, arguments.hosts))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        write(directory, "http://127.0.0.1:9", arguments.instances)
        with (directory / "monitor.yaml").open("a") as file:
            file.write(f'web: {{listen: "127.0.0.1:{port}"}}\n')
        with daemon(directory):
            url = f"http://127.0.0.1:{port}"
            ready(url)
            time.sleep(5)
            for path in PATHS:
                found = [asked(url + path) for _ in range(arguments.rounds)]
                times = sorted(seconds * 1000 for seconds, _ in found)
                print(
                    f"{path:40} median {statistics.median(times):6.0f} ms,"
                    f" worst {times[-1]:6.0f} ms, {found[-1][1] / 1024:6.0f} KiB"
                )


if __name__ == "__main__":
    main()
