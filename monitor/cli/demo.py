"""``job-monitor demo``: the real daemon against the simulator, told as a story."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGINT, SIGTERM
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Final

import anyio
import typer
from msgspec import structs

from monitor import clock
from monitor.cli import options

if TYPE_CHECKING:
    from monitor.simulator.world import World

BEAT: Final = 3.0
"""Seconds that each state of a simulated job lasts."""

PATIENCE: Final = 55.0

_JOBS: Final = {
    20000153: ("mixed_failure", "deploy-nginx", "team=web"),
    20000154: ("success", "backup-mysql", "team=dba"),
}
_BROKEN: Final = 20000153

_CONFIGURATION: Final = """\
sources:
  demo:
    api: esb-v2
    url: {url}
    app_code: job-monitor
    app_secret: demo-secret
    username: admin
    web_url: https://job.example.com
watch_lists: [watchlist.txt]
polling: {{min_interval: 300ms, max_interval: 1s}}
alerts: {{group_wait: 5s}}
sinks: []
log: {{level: warning}}
web: {{listen: "127.0.0.1:{port}"}}
store: sqlite:///monitor.db
"""

_GOODBYE: Final = """
That was a simulated JOB. To watch a real one, write monitor.yaml:

  sources:
    prod:
      api: esb-v2
      url: https://paas.example.com
      app_code: job-monitor
      app_secret_file: app_secret    # a file that holds the secret
      username: admin
  watch_lists: [watchlist.txt]

then

  echo '2/20000153 team=web' >> watchlist.txt    # business / job instance
  .venv/bin/job-monitor check && .venv/bin/job-monitor run

Every setting: deploy/monitor.example.yaml
"""


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay when the story is over, until Ctrl-C.")
    ] = False,
) -> None:
    """Show failures, the one notification that lists them, a retry and the recovery.

    Starts a simulated JOB and the daemon on an example watch list, all on
    loopback and in a temporary directory. Takes half a minute.
    """
    with TemporaryDirectory(prefix="job-monitor-demo-") as directory:
        seen = anyio.run(_play, Path(directory), keep)
    if not seen:
        typer.echo(f"The recovery did not come within {PATIENCE:.0f} s.", err=True)
        raise typer.Exit(1)
    typer.echo(_GOODBYE)


async def _play(directory: Path, keep: bool) -> bool:  # noqa: FBT001
    from monitor import logs, service  # noqa: PLC0415
    from monitor.cli.narrator import Narrator  # noqa: PLC0415
    from monitor.settings import loading  # noqa: PLC0415
    from monitor.settings.model import Settings  # noqa: PLC0415

    narrator = Narrator(anyio.current_time())

    async def until() -> None:
        with anyio.move_on_after(PATIENCE):
            await narrator.failure.wait()
            await anyio.sleep(BEAT)
            narrator.say("An operator retries the failed hosts in JOB.")
            world.instances[2, _BROKEN].retry(world.now(), BEAT)
            await narrator.recovery.wait()
        if keep:
            narrator.say(f"Staying, with everything in {directory}; Ctrl-C ends it.")
            with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
                await anext(signals)

    async with _simulated() as (world, url):
        path = _written(directory, url)

        def load() -> Settings:
            settings = loading.load(path, {})
            shape, level = settings.log.format, settings.log.level
            logs.configure(shape, level, colour=options.colour())
            return settings

        await service.serve(load, until=until, guests=[narrator])
    return narrator.recovery.is_set()


@asynccontextmanager
async def _simulated() -> AsyncIterator[tuple["World", str]]:
    from monitor.simulator import scenarios  # noqa: PLC0415
    from monitor.simulator.scenarios import Parts  # noqa: PLC0415
    from monitor.simulator.server import serving  # noqa: PLC0415
    from monitor.simulator.world import World  # noqa: PLC0415

    world = World(epoch=clock.utc_now().timestamp())
    parts = Parts(hosts=8, beat=BEAT)
    for identifier, (scenario, name, _) in _JOBS.items():
        story = structs.replace(scenarios.story(scenario, parts), name=name)
        world.play(story, job_instance_id=identifier)
    async with serving(world) as url:
        yield world, url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _written(directory: Path, url: str) -> Path:
    lines = [f"2/{number} {label}\n" for number, (*_, label) in _JOBS.items()]
    (directory / "watchlist.txt").write_text("".join(lines))
    path = directory / "monitor.yaml"
    port = _free_port()
    path.write_text(_CONFIGURATION.format(url=url, port=port))
    typer.echo(f"A simulated JOB answers at {url}, and here is all of it as a page:")
    typer.echo(f"\n  http://127.0.0.1:{port}/\n\nThe watch list, watchlist.txt:\n")
    typer.echo("".join(f"  {line}" for line in lines))
    return path
