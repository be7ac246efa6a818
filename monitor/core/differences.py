"""In what the daemons that share one store were set up differently."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

from monitor.core.cluster import Report, View, told


class Difference(Struct, frozen=True, kw_only=True):
    """*what* is ``version``, or a part of the settings such as ``sinks.oncall``.

    *alike* are the nodes that have the same, those together that agree, most of them
    first; those that are *lacking* have nothing of the kind.
    """

    what: str
    alike: tuple[tuple[str, ...], ...]
    lacking: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Say who agrees with whom: ``sinks.oncall: vm-1, vm-3 ≠ vm-2; not at vm-4``."""
        have = " ≠ ".join(", ".join(nodes) for nodes in self.alike)
        lack = f"; not at {', '.join(self.lacking)}" if self.lacking else ""
        return f"{self.what}: {have}{lack}"


def differences(view: View) -> list[Difference]:
    """Compare those that live, stay, and have said something of themselves."""
    said = {
        node.name: node.report
        for node in view.nodes
        if node.living and not node.draining and node.report.version
    }
    # Two versions may write the same settings differently.
    exact = len({report.version for report in said.values()}) == 1
    traits = {node: _traits(report, exact=exact) for node, report in said.items()}
    return [*_differing(traits)]


def _traits(report: Report, *, exact: bool) -> dict[str, str]:
    """Say what must be the same everywhere; unless *exact*, only what there is."""
    names = {f"sources.{name}" for name in report.sources}
    names |= {f"sinks.{name}" for name in report.sinks}
    known = report.settings if exact else {}
    return {"version": report.version, **dict.fromkeys(names, ""), **known}


def _differing(traits: Mapping[str, Mapping[str, str]]) -> Iterator[Difference]:
    for what in sorted({what for each in traits.values() for what in each}):
        nodes: dict[str | None, list[str]] = {}
        for node, known in traits.items():
            nodes.setdefault(known.get(what), []).append(told(node))
        if len(nodes) > 1:
            lacking = tuple(nodes.pop(None, ()))
            alike = sorted(map(tuple, nodes.values()), key=len, reverse=True)
            yield Difference(what=what, alike=tuple(alike), lacking=lacking)
