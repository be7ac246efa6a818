"""The stories that come with the simulator, by name.

Each joins a plot with its weather and manner; `Parts` is all it leaves open.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Annotated, Final

import msgspec

from monitor.simulator import plots, timeline
from monitor.simulator.faults import Fault, Name
from monitor.simulator.plots import Cast, Moments
from monitor.simulator.story import Flavour, Story
from monitor.simulator.timeline import Container, Host

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]

_FIRST_ADDRESS = IPv4Address("10.0.0.1")


class Parts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who plays: all a scenario leaves open.

    *hosts* are a number or addresses (``10.0.0.1``, ``3:10.0.0.1`` in cloud area 3,
    ``[2001:db8::1]``, ``container:nginx``).
    *failing* are positions among them (negative: from the end); None leaves the
    choice to the scenario. Each state lasts one *beat* of seconds.
    """

    hosts: Positive | tuple[str, ...] | None = None
    failing: tuple[int, ...] | None = None
    beat: Seconds = 5.0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    summary: str
    tell: Callable[[Cast], Moments]
    hosts: int = 5
    address: Callable[[int], str] | None = None
    """Where the hosts are if only their number is known; None: in 10.0.0.0/8."""

    failing: tuple[int, ...] = (-1,)
    flavour: Flavour | None = None
    shuffled: bool = False
    stringly: bool = False
    faults: tuple[Fault, ...] = ()


@lru_cache(maxsize=256)  # a hundred thousand instances share a few timelines
def story(name: str, parts: Parts = Parts()) -> Story:  # noqa: B008 - frozen
    """Make the story called *name*.

    Raises:
        KeyError: there is none of that name.
    """
    scenario = CATALOGUE[name]
    moments = scenario.tell(_cast(scenario, parts))
    return Story(
        name=name,
        timeline=timeline.dated(timeline.paced(moments, beat=parts.beat)),
        flavour=scenario.flavour,
        shuffled=scenario.shuffled,
        stringly=scenario.stringly,
        faults=scenario.faults,
    )


def _cast(scenario: Scenario, parts: Parts) -> Cast:
    wanted_hosts = parts.hosts or scenario.hosts
    if isinstance(wanted_hosts, int) and scenario.address is not None:
        wanted_hosts = tuple(map(scenario.address, range(wanted_hosts)))
    everybody = hosts(wanted_hosts)
    count = len(everybody)
    wanted = scenario.failing if parts.failing is None else parts.failing
    # Few hosts may leave no room for all who should fail: those who fit do.
    failing = sorted({place % count for place in wanted if -count <= place < count})
    return Cast(hosts=everybody, failing=tuple(failing))


@lru_cache(maxsize=64)
def hosts(wanted: int | tuple[str, ...]) -> tuple[Host, ...]:
    """Make the hosts at the addresses *wanted*, or as many in 10.0.0.0/8."""
    if isinstance(wanted, int):
        wanted = tuple(str(_FIRST_ADDRESS + number) for number in range(wanted))
    return tuple(host(address, number) for number, address in enumerate(wanted))


def host(address: str, number: int) -> Host:
    """Make the target at *address*, written as in `Host.address`."""
    identifier = 101 + number
    kind, _, name = address.partition(":")
    if kind == "container":
        return Host(bk_host_id=identifier, container=_container(name, number))
    before, bracket, ipv6 = address.partition("[")
    cloud, _, ip = before.rpartition(":")
    area = int(cloud or 0)
    if bracket:
        return Host(ipv6=ipv6.rstrip("]"), bk_cloud_id=area, bk_host_id=identifier)
    return Host(ip=ip, bk_cloud_id=area, bk_host_id=identifier)


def _container(name: str, number: int) -> Container:
    identifier = 5001 + number
    return Container(
        id=identifier, container_id=f"docker://{identifier:064x}", name=name
    )


_SCENARIOS: Final = (
    Scenario(name="success", summary="1 → 2 → 3, all well", tell=plots.success),
    Scenario(
        name="one_ip_fails",
        summary="the last host ends 104, so the job ends 4",
        tell=plots.one_ip_fails,
    ),
    Scenario(
        name="mixed_failure",
        summary="hosts end 104, 310 and 11, the job 4",
        tell=plots.mixed_failure,
        failing=(-3, -2, -1),
    ),
    Scenario(
        name="retry_recovers",
        summary="fails, is retried through the window of the empty list, ends 3",
        tell=plots.retry_recovers,
    ),
    Scenario(
        name="ignore_error",
        summary="the job ends 3 over a step in 6 with a failed host inside",
        tell=plots.ignore_error,
    ),
    Scenario(
        name="manual_confirm",
        summary="2 → 7 → 13 → 7 → 3: refused, asked again, confirmed",
        tell=plots.manual_confirm,
    ),
    Scenario(
        name="force_stop",
        summary="2 → 10 → 11: hosts at 403, one left at 5 for ever",
        tell=plots.force_stop,
    ),
    Scenario(
        name="abnormal",
        summary="ends 9 with hosts stuck at 7",
        tell=plots.abnormal,
    ),
    Scenario(
        name="rolling_duplicates",
        summary="a file step with one host in two rows, 9 and 11",
        tell=plots.rolling_duplicates,
        failing=(0,),
    ),
    Scenario(
        name="rolling",
        summary="a step in three batches: 2 → 15 → 2 → 15 → 2 → 3",
        tell=plots.rolling,
        failing=(),
    ),
    Scenario(
        name="rolling_ignore",
        summary="2 → 6 → 15 → 2: a failed batch is ignored, the next one goes on",
        tell=plots.rolling,
        failing=(0,),
    ),
    Scenario(
        name="containers",
        summary="containers beside a host: 1240002 in v2, and in v3 with rows",
        tell=plots.one_ip_fails,
        address=lambda number: f"container:app-{number}" if number else "10.0.0.1",
    ),
    Scenario(
        name="ipv6",
        summary="hosts without an IPv4 address: ip is null, in v4 there is ipv6",
        tell=plots.one_ip_fails,
        address=lambda number: f"[2001:db8::{number + 1:x}]",
    ),
    Scenario(
        name="throttled",
        summary="from second 5 to 15 every answer is a 429 (1306429 on the bus)",
        tell=plots.one_ip_fails,
        faults=(Fault(name=Name.THROTTLE, after=5.0, until=15.0),),
    ),
    Scenario(
        name="flapping_internal_error",
        summary="three answers in ten are HTTP 200 with code 1240002",
        tell=plots.one_ip_fails,
        faults=(Fault(name=Name.INTERNAL_ERROR, chance=0.3),),
    ),
    Scenario(
        name="archived",
        summary="succeeds, then 1244006 for ever",
        tell=plots.archived,
    ),
    Scenario(
        name="huge",
        summary="10 MB, slowly, and half the time torn off in the middle",
        tell=plots.huge,
        hosts=220_000,
        faults=(
            Fault(name=Name.DRIP, value=3.0),
            Fault(name=Name.TRUNCATE, value="torn", chance=0.5),
        ),
    ),
    Scenario(
        name="legacy_waiting",
        summary="a server ≤ 3.4: is_finished is true while a user is awaited (7)",
        tell=plots.legacy_waiting,
        flavour=Flavour.LEGACY,
    ),
    Scenario(name="hang", summary="2 for ever", tell=plots.hang),
    Scenario(
        name="shuffled",
        summary="the rows come in another order at each answer",
        tell=plots.mixed_failure,
        failing=(-3, -2, -1),
        shuffled=True,
    ),
    Scenario(
        name="html_502",
        summary="three answers in ten are a proxy's 502 page",
        tell=plots.success,
        faults=(Fault(name=Name.HTML, value="502", chance=0.3),),
    ),
    Scenario(
        name="stringly",
        summary="every integer is a string",
        tell=plots.one_ip_fails,
        stringly=True,
    ),
)

CATALOGUE: Final[Mapping[str, Scenario]] = {each.name: each for each in _SCENARIOS}
