"""Runs one errand of ``job-monitor wait``: the composition root of that verb.

Reads configuration and stdin, builds what looks at JOB, and prints what came of
it. Knows no store, no watch list and no sink.
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import typer
from msgspec import Struct

from monitor import logs, wiring
from monitor.cli import options
from monitor.cli.waiting import report, sources
from monitor.cli.waiting.post import Pace, Post
from monitor.cli.waiting.report import Framing, Output
from monitor.cli.waiting.talk import Talk
from monitor.cli.waiting.vigil import Hearer, Until, Vigil
from monitor.cli.waiting.wanted import Reader
from monitor.core.ending import Condition
from monitor.core.events import Frame
from monitor.core.model import InstanceKey
from monitor.job import source as job
from monitor.ports import Luck
from monitor.settings import secret
from monitor.settings.model import Settings


class Errand(Struct, frozen=True, kw_only=True):
    """All that was asked for on the command line."""

    words: tuple[str, ...]
    config: Path | None = None
    condition: Condition = Condition()
    timeout: timedelta | None = None
    scope: str | None = None
    output: Output | None = None
    quiet: bool = False
    verbose: bool = False


def run(errand: Errand) -> int:
    """Run it from the settings to the exit code."""
    settings = sources.read(errand.config, os.environ)
    keys = _keys(errand, tuple(settings.sources))
    settings = sources.only(settings, dict.fromkeys(key.source for key in keys))
    logs.configure("auto", "warning", colour=options.colour())
    logs.protect(secret.known(settings))

    with _talking(errand, keys, settings.locale) as talk:
        vigil = anyio.run(
            partial(
                kept, keys, errand.condition, talk, settings, patience=errand.timeout
            )
        )
    talk.concluded(vigil.findings, _cut_short(vigil, errand))
    _print(vigil, errand, settings)
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
            terms = pace(settings, name)
            posts.append(Post(opened, theirs, vigil, pace=terms, luck=luck))
        seconds = None if patience is None else patience.total_seconds()
        with anyio.move_on_after(seconds) as limit:
            await vigil.keep([post.run for post in posts], until)
        vigil.timed_out = limit.cancelled_caught
    return vigil


def pace(settings: Settings, name: str) -> Pace:
    source = settings.sources[name]
    return Pace(
        width=source.max_in_flight,
        rate=source.requests_per_second,
        limits=wiring.rules(settings, source).limits,
        patience=wiring.patience(settings),
    )


def framing(settings: Settings) -> Framing:
    def frame(key: InstanceKey) -> Frame:
        return Frame(
            source=key.source,
            key=str(key),
            subject=key.subject,
            instance=key,
            web_url=settings.sources[key.source].web_url,
            locale=settings.locale,
        )

    return frame


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
    if errand.quiet:
        yield Talk(lambda _: None, locale=locale, verbose=False)
    elif sys.stderr.isatty():
        from monitor.cli.waiting import gauge  # noqa: PLC0415 - Rich is for terminals

        with gauge.shown(keys, sys.stderr, locale) as bars:
            yield Talk(bars.say, locale=locale, verbose=errand.verbose, gauge=bars)
    else:
        say = partial(typer.echo, err=True)
        yield Talk(say, locale=locale, verbose=errand.verbose)


def _cut_short(vigil: Vigil, errand: Errand) -> str | timedelta | None:
    if vigil.interrupted:
        return "interrupted"
    return errand.timeout if vigil.timed_out else None


def _print(vigil: Vigil, errand: Errand, settings: Settings) -> None:
    fallback = Output.TABLE if sys.stdout.isatty() else Output.PLAIN
    output = errand.output or fallback
    if output is Output.TABLE:
        from monitor.cli.waiting import table  # noqa: PLC0415 - Rich is for people

        table.show(vigil.findings, framing(settings), sys.stdout)
        return
    for line in report.lines(vigil.findings, framing(settings), output):
        typer.echo(line)
