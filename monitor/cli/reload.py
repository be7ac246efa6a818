"""``job-monitor reload``: what SIGHUP does, with an answer."""

import time
from typing import Final

import typer

from monitor import errors
from monitor.cli import daemon, options, printing
from monitor.cli.daemon import Daemon
from monitor.cli.printing import Output
from monitor.sinks.printable import printable
from monitor.web.shapes.reload import ReloadData, Result

PATIENCE: Final = 60.0
_BETWEEN: Final = 0.2


def reload(
    *,
    output: printing.Option = Output.TABLE,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Let the daemon read configuration, watch lists and secrets anew.

    All or nothing: with a fault, everything stays as it is, and each fault is on a
    line of its own. Ends with 0 if all is well, 1 if entries of watch lists cannot
    be used, 78 if the configuration is refused.
    """
    there = daemon.found(config, socket)
    said = _settled(there, there.send("POST", "/reload", ReloadData))
    for fault in said.quarantined:
        typer.echo(printable(fault, printing.CELL_MAX), err=True)
    printing.thing(said, output, _words)
    if said.quarantined:
        raise typer.Exit(1)


def _settled(there: Daemon, said: ReloadData) -> ReloadData:
    """Wait until what was read is in effect."""
    patience = int(PATIENCE / _BETWEEN)
    while said.result is Result.REPLACING:
        patience -= 1
        if not patience:
            raise errors.DaemonError(
                "what was read is not in effect yet; see the daemon's log"
            )
        time.sleep(_BETWEEN)
        said = _latest(there) or said
    return said


def _latest(there: Daemon) -> ReloadData | None:
    try:
        return there.get("/reload", ReloadData)
    except errors.NoDaemon:  # the one that went is about to come back
        return None


def _words(said: ReloadData) -> str:
    lines = []
    if said.changed:
        lines.append(f"changed: {', '.join(said.changed)}")
    else:
        lines.append("the configuration is what it was")
    if said.needs_restart:
        lines.append(f"needs a restart: {', '.join(said.needs_restart)}")
    counts = {
        "added": said.added,
        "removed": said.removed,
        "changed": said.altered,
    }
    moved = [f", {count:,} {what}" for what, count in counts.items() if count]
    lines.append(f"watches: {said.watches:,}{''.join(moved)}")
    if said.in_all is not None and said.in_all != said.watches:
        lines.append(f"with those of other machines: {said.in_all:,}")
    return "\n".join(lines)
