"""What a shell may complete beside verbs and options: keys of instances.

The daemon is asked, for a moment; whatever goes wrong, nothing is offered and nothing
is said. A shell evaluates what is printed here, so nothing in it is from JOB but keys.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

WITHIN: Final = 1.0
"""Seconds for the daemon to answer somebody who pressed a key."""

MOST: Final = 100


# typer keeps the type of a context to itself.
def instances(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Offer keys that begin so, in full or as short as they were begun."""
    # Nobody who only reads help needs these.
    from monitor import errors  # noqa: PLC0415
    from monitor.cli import daemon  # noqa: PLC0415

    where = ctx.params.get("config"), ctx.params.get("socket")
    with suppress(errors.MonitorError, OSError):
        there = daemon.Daemon(daemon.place(*where), patience=WITHIN)
        return list(_offered(there, incomplete))
    return []


def _offered(there: Any, begun: str) -> Iterator[tuple[str, str]]:
    from monitor.web.shapes.instances import ListedData  # noqa: PLC0415
    from monitor.web.shapes.sources import SourceData  # noqa: PLC0415

    first = next(there.pages("/sources", SourceData, most=1), None)
    query = {"q": _sought(begun), "phase": "any"}
    for each in there.pages("/instances", ListedData, most=MOST, **query):
        for form in _forms(each, first is not None and each.source == first.name):
            if form.startswith(begun):
                yield form, each.status_name
                break


def _sought(begun: str) -> str | None:
    """Give a part of what was begun that all of its forms have in common."""
    *before, last = begun.split("/")
    if last:
        return last
    return f"/{before[-1]}/" if len(before) > 1 or begun[:1].isdigit() else None


def _forms(of: Any, short: bool) -> Iterator[str]:  # noqa: FBT001
    yield of.key
    if of.bk_scope_type == "biz":
        yield f"{of.source}/{of.bk_scope_id}/{of.job_instance_id}"
    if short:
        yield of.key.partition("/")[2]
        if of.bk_scope_type == "biz":
            yield f"{of.bk_scope_id}/{of.job_instance_id}"
