"""Who tells people what a sink was not there to be told."""

from collections.abc import Mapping

from monitor.core.message import Kind
from monitor.sinks.catalogue import SinkConfig


def check(sink: SinkConfig, known: Mapping[str, SinkConfig]) -> None:
    """Raise ValueError where *sink* has a fallback that cannot be one."""
    if sink.fallback is None:
        return
    if Kind.ALERTS not in sink.send:
        raise ValueError(
            f"sink {sink.name!r} has a fallback, which is for alerts, and takes none"
        )
    fallback = known.get(sink.fallback)
    if fallback is None or Kind.ALERTS not in fallback.send:
        takers = sorted(
            name for name, each in known.items() if Kind.ALERTS in each.send
        )
        raise ValueError(
            f"sink {sink.name!r} falls back to {sink.fallback!r}, which is no sink that"
            f" takes alerts; there are: {', '.join(takers)}"
        )
    if fallback.level:
        raise ValueError(
            f"sink {sink.name!r} falls back to {fallback.name!r}, which is told of"
            " everything anyway: name one for people"
        )
    _check_end(sink, known)


def _check_end(sink: SinkConfig, known: Mapping[str, SinkConfig]) -> None:
    passed = [sink.name]
    while (name := known[passed[-1]].fallback) is not None and name in known:
        passed.append(name)
        if name in passed[:-1]:
            raise ValueError(f"sinks fall back in a circle: {' → '.join(passed)}")
