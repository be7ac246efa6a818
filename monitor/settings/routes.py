"""What may be configured about who is told: routes, inhibition, and what is too much."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field

from monitor.core import matchers
from monitor.settings.notation import Duration, Positive
from monitor.settings.section import Section

DEPTH: Final = 8
"""Routes within routes."""


def _matcher(text: str) -> str:
    return str(matchers.parse(text))


def _traits(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not all(value):
        raise ValueError("must be instance, plan, or names of labels")
    return value


MatcherText = Annotated[str, AfterValidator(_matcher)]
GroupBy = Annotated[
    tuple[str, ...] | str, BeforeValidator(_traits), AfterValidator(_some)
]


class RouteSettings(Section):
    """As a route of Alertmanager: what is not given is taken from the route above."""

    match: tuple[MatcherText, ...] = ()
    """Matchers over labels and ``alert``, ``severity``, ``source``, ``scope``,
    ``instance``, ``plan``, ``name``, ``step``; all must match."""

    sinks: tuple[str, ...] = ()
    """Who is told."""

    group_by: GroupBy | None = None
    """What is one message."""

    group_wait: Duration | None = None
    """Before the first message."""

    group_interval: Duration | None = None
    """Between two messages, at least."""

    repeat_interval: Positive | None = None
    """Before the first reminder; each later one waits twice as long."""

    settle_for: Duration | None = None
    """How long to wait for a retry after a failure."""

    after: Duration = timedelta(0)
    """Escalation: tell only of what has held for so long, and nobody acknowledged."""

    continue_: Annotated[bool, Field(alias="continue")] = False
    """Look at the routes after this one too."""

    routes: tuple["RouteSettings", ...] = ()
    """More of them, for what this one matches."""


class InhibitSettings(Section):
    """While an alert matches *source_match*, those that match *target_match* are not told."""

    source_match: Annotated[tuple[MatcherText, ...], Field(min_length=1)]
    """The alerts that explain."""

    target_match: Annotated[tuple[MatcherText, ...], Field(min_length=1)]
    """Those that they explain."""

    equal: tuple[str, ...] = ()
    """Only where both have the same in these."""


class FlappingSettings(Section):
    """Who comes and goes too often is told to be well only once it is calm."""

    changes: Annotated[int, Field(ge=2, le=20)] = 6
    """Between well and not well: six are three failures and three recoveries."""

    window: Positive = timedelta(hours=1)
    """Within which they are counted."""


class StormSettings(Section):
    """What is more than this at one sink is told in one message."""

    messages: Annotated[int, Field(ge=1, le=100_000)] = 60
    """More than one a second nobody reads."""

    per: Positive = timedelta(minutes=1)
    """The time in which they are counted."""


def named(
    routes: Sequence[RouteSettings], place: str = "routes"
) -> Iterator[tuple[str, str]]:
    """List which route names which sink."""
    for number, route in enumerate(routes):
        here = f"{place}[{number}]"
        yield from ((here, sink) for sink in route.sinks)
        yield from named(route.routes, f"{here}.routes")


def check_sinks(
    routes: Sequence[RouteSettings], *, inherited: bool, place: str, depth: int = 1
) -> None:
    """Raise ValueError for a route that leads to nobody, or is too deep."""
    for number, route in enumerate(routes):
        here, leads = f"{place}[{number}]", inherited or bool(route.sinks)
        if not leads and not route.routes:
            raise ValueError(f"{here} leads to nobody: give it sinks")
        if depth > DEPTH:
            raise ValueError(f"{here} is deeper than {DEPTH} routes")
        check_sinks(
            route.routes, inherited=leads, place=f"{here}.routes", depth=depth + 1
        )
