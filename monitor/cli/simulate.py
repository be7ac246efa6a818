"""``job-monitor simulate``: a JOB to try things on.

Parses what was typed and hands it to the simulator. The base URL and the list of
scenarios go to stdout, all talk to stderr. The server is imported when it is
needed, so that other verbs start fast.
"""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Annotated

import anyio
import msgspec
import typer

from monitor import clock
from monitor.simulator import scenarios, script
from monitor.simulator.faults import Fault, Name
from monitor.simulator.instance import Instance
from monitor.simulator.quota import Quota
from monitor.simulator.scenarios import Parts
from monitor.simulator.script import Script
from monitor.simulator.story import Flavour
from monitor.simulator.world import World


class Address(msgspec.Struct, frozen=True):
    host: str
    port: int


class Cue(msgspec.Struct, frozen=True):
    """So many instances of one scenario."""

    scenario: str
    count: int = 1


class Programme(msgspec.Struct, frozen=True, kw_only=True):
    """All that was asked for on the command line."""

    address: Address
    cues: tuple[Cue, ...] = ()
    script: Script = Script()
    faults: tuple[Fault, ...] = ()
    parts: Parts = Parts()
    flavour: Flavour = Flavour.MODERN
    quota: Quota | None = None
    speed: float = 1.0
    watch_list: Path | None = None


def simulate(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to answer; port 0: any.")
    ] = "127.0.0.1:8322",
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:COUNT]",
            help="What to play, and how many of it; may be repeated. "
            "Without it and without a script: one of each.",
        ),
    ] = None,
    script_file: Annotated[
        Path | None,
        typer.Option("--script", metavar="FILE", help="Your own scenarios, in YAML."),
    ] = None,
    speed: Annotated[
        float,
        typer.Option(min=0.001, help="Simulated seconds in a second; a state lasts 5."),
    ] = 1.0,
    hosts: Annotated[
        int | None,
        typer.Option(min=1, help="Hosts of an instance (5; huge: 220,000)."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=VALUE][@CHANCE]",
            help="What goes wrong, for all instances; may be repeated. "
            f"One of {', '.join(Name)}.",
        ),
    ] = None,
    flavour: Annotated[
        Flavour,
        typer.Option(help="Whose words: today's servers, the document's, ≤ 3.4."),
    ] = Flavour.MODERN,
    quota: Annotated[
        str | None,
        typer.Option(
            metavar="N/SECONDS",
            help="How often each app may ask; beyond that, 429 or 1306429.",
        ),
    ] = None,
    watch_list: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Write what is played as a .txt watch list."),
    ] = None,
    list_scenarios: Annotated[
        bool, typer.Option("--list", help="Name the scenarios, and end.")
    ] = False,
) -> None:
    """Play JOB: answer every generation of its API with scripted instances.

    Prints the base URL and serves until it is interrupted; stderr says what url:
    to give a source for each api:. Try:

      job-monitor simulate --scenario retry_recovers --speed 5

      job-monitor simulate --scenario success:1000 --fault 5xx=503@0.05

      job-monitor simulate --scenario hang:5000 --quota 20/1

      job-monitor simulate --list

    While it runs, faults, quota, retries and counts are at URL/_simulator/.
    """
    if list_scenarios:
        typer.echo(listing())
        return
    programme = Programme(
        address=address(listen),
        cues=cues(scenario, scripted=script_file is not None),
        script=_script(script_file),
        faults=tuple(fault_named(each) for each in fault or ()),
        parts=Parts(hosts=hosts),
        flavour=flavour,
        quota=None if quota is None else quota_of(quota),
        speed=speed,
        watch_list=watch_list,
    )
    _run(programme)


def _run(programme: Programme) -> None:
    try:
        anyio.run(_perform, programme, backend_options={"use_uvloop": True})
    except OSError as error:
        raise typer.BadParameter(
            f"cannot listen there: {error.strerror}; try 127.0.0.1:0",
            param_hint="--listen",
        ) from error


def listing() -> str:
    width = max(map(len, scenarios.CATALOGUE))
    return "\n".join(
        f"{each.name:{width}}  {each.summary}" for each in scenarios.CATALOGUE.values()
    )


def address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise typer.BadParameter(
            f"{text!r} is not HOST:PORT; try 127.0.0.1:8322", param_hint="--listen"
        )
    return Address(host.strip("[]"), int(port))


def cues(texts: Iterable[str] | None, *, scripted: bool) -> tuple[Cue, ...]:
    """Read NAME[:COUNT]; nothing said and nothing scripted means one of each."""
    if texts:
        return tuple(_cue(text) for text in texts)
    return () if scripted else tuple(Cue(name) for name in scenarios.CATALOGUE)


def _cue(text: str) -> Cue:
    name, _, count = text.partition(":")
    if name not in scenarios.CATALOGUE:
        raise typer.BadParameter(
            f"no scenario {name!r}; there are: {', '.join(scenarios.CATALOGUE)}",
            param_hint="--scenario",
        )
    if not (count or "1").isdecimal():
        raise typer.BadParameter(
            f"{count!r} is no count; try {name}:10", param_hint="--scenario"
        )
    return Cue(name, int(count or 1))


def fault_named(text: str) -> Fault:
    """Read NAME[=VALUE][@CHANCE], such as latency=2 or 5xx=503@0.1."""
    spec, _, chance = text.partition("@")
    name, _, value = spec.partition("=")
    written = {"name": name, "value": value or None, "chance": chance or 1.0}
    try:
        return msgspec.convert(written, Fault, strict=False)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(
            f"{text!r}: {error}; try one of {', '.join(Name)}, such as 5xx=503@0.1",
            param_hint="--fault",
        ) from error


def quota_of(text: str) -> Quota:
    """Read N/SECONDS; N alone is for one second."""
    limit, _, window = text.partition("/")
    written = {"limit": limit, "window": window or 1.0}
    try:
        return msgspec.convert(written, Quota, strict=False)
    except msgspec.ValidationError as error:
        raise typer.BadParameter(
            f"{text!r}: {error}; try 20/1", param_hint="--quota"
        ) from error


def _script(path: Path | None) -> Script:
    if path is None:
        return Script()
    try:
        return script.parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(
            f"{path}: {error}; docs/simulator.md shows one that works",
            param_hint="--script",
        ) from error


async def _perform(programme: Programme) -> None:
    from monitor.simulator.server import serving  # noqa: PLC0415 - aiohttp is slow

    world = World(
        flavour=programme.flavour,
        quota=programme.quota,
        speed=programme.speed,
        epoch=clock.utc_now().timestamp(),
    )
    _announce(_begun(world, programme))
    where = programme.address
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async with serving(world, host=where.host, port=where.port) as url:
            typer.echo(url)
            _direct(url)
            typer.echo("Serving until interrupted (Ctrl-C).", err=True)
            async for _ in signals:
                return


def _begun(world: World, programme: Programme) -> list[Instance]:
    world.switch(programme.faults)
    played = [
        world.play(cue.scenario, parts=programme.parts)
        for cue in programme.cues
        for _ in range(cue.count)
    ]
    played += script.enact(world, programme.script)
    if programme.watch_list is not None:
        _write(programme.watch_list, played)
    return played


def _write(path: Path, played: Iterable[Instance]) -> None:
    lines = [f"{instance} scenario={instance.story.name}\n" for instance in played]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {path}: {error.strerror}", param_hint="--watch-list"
        ) from error


def _direct(url: str) -> None:
    """Say what a source must be given to come here by each generation of the API."""
    from monitor.simulator.endpoints import GATEWAY  # noqa: PLC0415 - as in _perform

    typer.echo(f"api: esb-v2 | esb-v3          url: {url}", err=True)
    typer.echo(f"api: gateway-v3 | gateway-v4  url: {url}{GATEWAY}", err=True)


def _announce(played: Iterable[Instance]) -> None:
    for name, group in groupby(played, key=lambda instance: instance.story.name):
        first, *more = group
        keys = f"{first} … {more[-1]}" if more else f"{first}"
        typer.echo(f"{keys}  {name}", err=True)
