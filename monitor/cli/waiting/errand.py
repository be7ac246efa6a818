"""Runs one errand of ``job-monitor wait``: the composition root of that verb.

Reads configuration and stdin, builds what looks at JOB, and prints what came of
it. Knows no store, no watch list and no sink.
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import typer
from msgspec import Struct

from monitor import clock, durations, errors, logs, wiring
from monitor.cli import daemon as daemons
from monitor.cli import options
from monitor.cli.waiting import inquiry, relay, report
from monitor.cli.waiting.inquiry import Inquiry
from monitor.cli.waiting.post import Post, Terms
from monitor.cli.waiting.relay import Direct, Relay
from monitor.cli.waiting.report import Output
from monitor.cli.waiting.talk import Talk
from monitor.cli.waiting.vigil import Hearer, Looking, Until, Vigil
from monitor.cli.waiting.wanted import Reader
from monitor.core.ending import Condition, Finding
from monitor.core.model import InstanceKey
from monitor.core.wording import Frame
from monitor.job import source as job
from monitor.ports import Luck, Now, Source
from monitor.settings import loading, secret
from monitor.settings.model import Settings

DAEMON_WITHIN: Final = 5.0
"""Seconds for a daemon to say whom it watches; JOB can always be asked itself."""

DAEMON_PER_KEY: Final = 0.02


class Errand(Struct, frozen=True, kw_only=True):
    """All that was asked for on the command line."""

    words: tuple[str, ...]
    config: Path | None
    condition: Condition
    timeout: timedelta | None
    scope: str | None
    output: Output | None
    quiet: bool
    verbose: bool
    socket: Path | None = None
    direct: bool = False


def run(errand: Errand) -> int:
    """Run it from the settings to the exit code."""
    settings = loading.sources(errand.config, os.environ)
    keys = _keys(errand, tuple(settings.sources))
    settings = loading.only(settings, dict.fromkeys(key.source for key in keys))
    logs.configure("auto", "warning", colour=options.colour())
    logs.protect(secret.known(settings))

    with _talking(errand, keys, settings.locale) as talk:
        vigil = anyio.run(
            partial(
                kept,
                keys,
                errand.condition,
                talk,
                settings,
                patience=errand.timeout,
                daemon=_socket(errand),
                curious=not errand.quiet and (errand.verbose or sys.stderr.isatty()),
            )
        )
    talk.concluded(vigil.findings, _cut_short(vigil, errand))
    _print(framed(vigil.findings, settings), errand.output)
    return vigil.exit_code


async def interrupted() -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


async def kept(
    keys: Sequence[InstanceKey],
    condition: Condition,
    hearer: Hearer,
    settings: Settings,
    *,
    patience: timedelta | None = None,
    until: Until = interrupted,
    daemon: Path | None = None,
    curious: bool = False,
    luck: Luck = random.random,  # noqa: TID251
    now: Now = clock.utc_now,
) -> Vigil:
    """Keep a vigil over *keys*; *settings* has exactly their sources.

    *daemon* is the socket of one that may be asked instead of JOB; *curious*: every
    transition is to be told.
    """
    vigil = Vigil(keys, condition, hearer)
    async with AsyncExitStack() as stack:
        asked, entrusted = await _daemon(stack, daemon, keys, settings)
        looking: list[Looking] = []
        relays: list[Relay] = []
        for name, source in settings.sources.items():
            config = wiring.source_config(name, source)
            opened = await stack.enter_async_context(job.opened(config))
            direct = _direct(opened, vigil, _terms(settings, name), luck)
            theirs = {key for key in keys if key.source == name}
            if asked is not None and theirs & entrusted:
                relays.append(
                    Relay(
                        asked,
                        name,
                        theirs & entrusted,
                        vigil,
                        direct=direct,
                        curious=curious,
                        now=now,
                    )
                )
            if theirs - entrusted:
                looking.append(direct(theirs - entrusted))
        looking += [relay.run for relay in relays]
        seconds = None if patience is None else patience.total_seconds()
        await vigil.keep(looking, until, seconds)
        await _conclude(relays)
    return vigil


def _direct(opened: Source, vigil: Vigil, terms: Terms, luck: Luck) -> Direct:
    def looking(keys: Collection[InstanceKey]) -> Looking:
        return Post(opened, keys, vigil, terms=terms, luck=luck).run

    return looking


async def _daemon(
    stack: AsyncExitStack,
    socket: Path | None,
    keys: Sequence[InstanceKey],
    settings: Settings,
) -> tuple[Inquiry | None, frozenset[InstanceKey]]:
    """Give the way to the daemon, and who it may be asked about instead of JOB."""
    if socket is None:
        return None, frozenset()
    urls = {name: str(source.url) for name, source in settings.sources.items()}
    try:
        asked = await stack.enter_async_context(inquiry.opened(socket))
        with anyio.fail_after(DAEMON_WITHIN + len(keys) * DAEMON_PER_KEY):
            return asked, await relay.entrusted(asked, keys, urls)
    except (errors.DaemonError, OSError):  # a TimeoutError is one
        return None, frozenset()


async def _conclude(relays: Iterable[Relay]) -> None:
    """Learn how those stand that have not ended, for a time-out or an interrupt."""
    with suppress(errors.DaemonError), anyio.move_on_after(DAEMON_WITHIN):
        for each in relays:
            await each.refresh()


def framed(
    findings: Iterable[Finding], settings: Settings
) -> list[tuple[Finding, Frame]]:
    """Add what the events about each instance would say of where it is."""
    return [(finding, _frame(finding.key, settings)) for finding in findings]


def _socket(errand: Errand) -> Path | None:
    """Say where a daemon would be; a store that is named wrongly has none."""
    if errand.direct:
        return None
    with suppress(errors.Misconfigured):
        place = daemons.place(errand.config, errand.socket)
        return place if place.exists() else None
    return None


def _terms(settings: Settings, name: str) -> Terms:
    source = settings.sources[name]
    return Terms(
        width=source.max_in_flight,
        rate=source.requests_per_second,
        limits=wiring.rules(settings, source).limits,
        early=settings.polling.early_failures.total_seconds(),
        patience=wiring.patience(settings),
    )


def _frame(key: InstanceKey, settings: Settings) -> Frame:
    return Frame(
        source=key.source,
        key=str(key),
        subject=key.subject,
        instance=key,
        web_url=settings.sources[key.source].web_url,
        locale=settings.locale,
    )


def _keys(errand: Errand, names: tuple[str, ...]) -> tuple[InstanceKey, ...]:
    stdin: Callable[[int], bytes] = typer.get_binary_stream("stdin").read
    try:
        return Reader(names, errand.scope).keys(errand.words, stdin)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="KEY") from error


@contextmanager
def _talking(
    errand: Errand, keys: Sequence[InstanceKey], locale: str
) -> Iterator[Talk]:
    talk = partial(Talk, locale=locale, verbose=errand.verbose)
    if errand.quiet:
        yield talk(lambda _: None)
    elif sys.stderr.isatty():
        from monitor.cli.waiting import terminal  # noqa: PLC0415 - Rich is for people

        with terminal.gauge(keys, sys.stderr, locale) as gauge:
            yield talk(gauge.say, show=gauge.show)
    else:
        yield talk(partial(typer.echo, err=True))


def _cut_short(vigil: Vigil, errand: Errand) -> str:
    if vigil.interrupted:
        return "interrupted"
    if vigil.timed_out and errand.timeout is not None:
        return f"timed out after {durations.text(errand.timeout)}"
    return ""


def _print(found: Sequence[tuple[Finding, Frame]], output: Output | None) -> None:
    output = output or (Output.TABLE if sys.stdout.isatty() else Output.PLAIN)
    if output is Output.TABLE:
        from monitor.cli.waiting import terminal  # noqa: PLC0415 - Rich is for people

        terminal.table(found, sys.stdout)
        return
    for line in report.lines(found, output):
        typer.echo(line)
