"""Keys of instances as people type them, read by what the daemon's sources are."""

import typer

from monitor.cli.daemon import Daemon
from monitor.core import watch
from monitor.core.model import InstanceKey
from monitor.web.shapes.sources import SourceData


def typed(there: Daemon, text: str) -> InstanceKey:
    """Read ``[source/][scope_type/]scope_id/job_instance_id``."""
    parts = text.strip().split("/")
    # One in full may be of a source that is configured no more.
    sources = (parts[0],) if len(parts) == 4 else _sources(there)
    try:
        return watch.parse_key(text, sources=sources)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="KEY") from None


def path(key: InstanceKey) -> str:
    return f"/{key.source}/{key.scope_type}/{key.scope_id}/{key.job_instance_id}"


def _sources(there: Daemon) -> tuple[str, ...]:
    return tuple(each.name for each in there.pages("/sources", SourceData, most=1000))
