"""``job-monitor store``: look at a store, bring it up to date, copy it elsewhere."""

import os
from typing import Annotated, Final

import anyio
import typer

from monitor.cli import options, printing
from monitor.cli.printing import Output
from monitor.core.shards import SHARDS
from monitor.settings import loading
from monitor.store import copying, opening, surveying
from monitor.store.surveying import Survey

EVERY: Final = 10_000
"""Rows of a table between two words about them."""

Url = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        show_default=False,
        help="sqlite:///PATH or postgresql://USER@HOST/DATABASE.  [default: that of"
        " the configuration]",
    ),
]

store = typer.Typer(
    help="Look at a store, bring it up to date, copy it to another engine.\n\n"
    "A password need not be in a URL: libpq reads PGPASSFILE and ~/.pgpass.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@store.command("status")
def status(
    *,
    url: Url = None,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
) -> None:
    """Tell what is in a store, and who owns it. Changes nothing.

    Ends with 1 if its schema is not that of this version.
    """
    found = surveying.survey(url or loading.store_url(config, os.environ))
    printing.thing(found, output, _words)
    if not found.current:
        raise typer.Exit(1)


@store.command("migrate")
def migrate(*, url: Url = None, config: options.Config = None) -> None:
    """Bring a store up to date, as a daemon does when it starts.

    There is no way back: see the backup in the manual. Ends with 78 while a daemon
    owns the store.
    """
    place = url or loading.store_url(config, os.environ)
    before, after = anyio.run(_migrated, place)
    if before == after:
        typer.echo(f"The schema is up to date: {after}.")
    else:
        typer.echo(f"The schema was {before or 'not there'}, and is {after} now.")


@store.command("copy")
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The store to read.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The store to fill.")],
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Throw away what is in TO.")
    ] = False,
    output: printing.Option = Output.TABLE,
) -> None:
    """Copy a store to another one, whatever the engines, and compare all rows.

    All of it is there afterwards, or nothing. Owns both meanwhile, so that no daemon
    may. Ends with 1 if the copy differs, or if something is in TO.
    """
    say = _Progress()

    async def copied() -> list[copying.Copied]:
        return await copying.copy(source, target, replace=replace, report=say.heard)

    found = anyio.run(copied)
    printing.things(found, output, _COLUMNS)
    total = sum(each.rows for each in found)
    typer.echo(f"{total:,} rows are the same on both sides.", err=True)


_COLUMNS: Final[printing.Columns[copying.Copied]] = {
    "TABLE": lambda copied: copied.table,
    "ROWS": lambda copied: f"{copied.rows:,}",
    "DIGEST": lambda copied: copied.digest,
}


class _Progress:
    """Says how far it is, now and then."""

    def __init__(self) -> None:
        self._next = EVERY

    def heard(self, table: str, done: int, total: int) -> None:
        if done == total or done >= self._next:
            typer.echo(f"{table}: {done:,} of {total:,}", err=True)
            self._next = 0 if done == total else done
            self._next += EVERY


async def _migrated(url: str) -> tuple[str | None, str | None]:
    before = surveying.schema(url)
    async with opening.opened(url):
        return before, surveying.schema(url)


def _words(found: Survey) -> str:
    schema = found.schema or "none yet"
    if not found.current:
        schema += f" (this version has {found.newest}: job-monitor store migrate)"
    owners = [
        f"{name}: {many} of {SHARDS} shards" for name, many in found.owners.items()
    ]
    lines = [
        f"store:  {found.store}",
        f"engine: {found.engine}",
        f"schema: {schema}",
        f"size:   {found.bytes / 1024:,.0f} KiB",
        f"owners: {', '.join(owners) or 'none'}",
        *(f"{rows:>12,} {table}" for table, rows in found.rows.items()),
    ]
    return "\n".join(lines)
