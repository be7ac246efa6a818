"""Runs one errand of ``job-monitor wait``: the composition root of that verb.

Reads configuration and stdin, builds what looks at JOB, and prints what came of
it. Knows no store, no watch list and no sink.
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import typer
from msgspec import Struct

from monitor import durations, logs, wiring
from monitor.cli import options
from monitor.cli.waiting import report
from monitor.cli.waiting.post import Post, Terms
from monitor.cli.waiting.report import Output
from monitor.cli.waiting.talk import Talk
from monitor.cli.waiting.vigil import Hearer, Until, Vigil
from monitor.cli.waiting.wanted import Reader
from monitor.core.ending import Condition, Finding
from monitor.core.model import InstanceKey
from monitor.core.wording import Frame
from monitor.job import source as job
from monitor.ports import Luck
from monitor.settings import loading, secret
from monitor.settings.model import Settings


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
                kept, keys, errand.condition, talk, settings, patience=errand.timeout
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
    luck: Luck = random.random,  # noqa: TID251
) -> Vigil:
    """Keep a vigil over *keys*; *settings* has exactly their sources."""
    vigil = Vigil(keys, condition, hearer)
    async with AsyncExitStack() as stack:
        posts = []
        for name, source in settings.sources.items():
            config = wiring.source_config(name, source)
            opened = await stack.enter_async_context(job.opened(config))
            theirs = [key for key in keys if key.source == name]
            terms = _terms(settings, name)
            posts.append(Post(opened, theirs, vigil, terms=terms, luck=luck))
        seconds = None if patience is None else patience.total_seconds()
        await vigil.keep([post.run for post in posts], until, seconds)
    return vigil


def framed(
    findings: Iterable[Finding], settings: Settings
) -> list[tuple[Finding, Frame]]:
    """Add what the events about each instance would say of where it is."""
    return [(finding, _frame(finding.key, settings)) for finding in findings]


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
