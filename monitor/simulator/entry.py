"""One instance as a person writes it down, in a script or to the control endpoint.

Decoded strictly: an unknown key is an error with its path, never a silence.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec

from monitor.simulator import scenarios, timeline
from monitor.simulator.faults import Fault
from monitor.simulator.instance import Instance
from monitor.simulator.scenarios import Parts, Positive, Seconds
from monitor.simulator.story import Canned, Flavour, Launch, Story
from monitor.simulator.timeline import Frame, Host, Moment, Row, Step, Timeline
from monitor.simulator.world import World

_ADDRESS = r"(\d+:)?([\d.]+|\[[0-9a-f:.]+\])|container:[\w.-]+"
Address = Annotated[str, msgspec.Meta(pattern=rf"^({_ADDRESS})$")]
Whose = Annotated[str, msgspec.Meta(pattern=rf"^(\*|{_ADDRESS})$")]

Label = Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+$")]


class WrongEntryError(ValueError):
    """What was written cannot be played; the message says what to write instead."""


class Lot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a host fares; what is left out is what commonly goes with the status."""

    status: int
    tag: str = ""
    exit: int | None = None
    error: int | None = None
    log: str | None = None
    batch: int = 0


class Act(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A step during one state; *hosts* maps address to lot, "*" all the others.

    A bare status is a lot too. Several lots for one host make several rows.
    """

    status: int = timeline.WAITING
    name: str = "run script"
    kind: int = timeline.SCRIPT
    execute_count: int = 0
    hosts: dict[Whose, int | Lot | list[int | Lot]] = {}


class State(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From second *at* on; no job status: the instance is archived."""

    at: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    job: int | None = None
    steps: list[Act] = []


class Raw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer as it stands; *base64* in place of *body* for what is no text."""

    status: Annotated[int, msgspec.Meta(ge=100, le=599)] = 200
    headers: dict[str, str] = {}
    body: str = ""
    base64: bytes | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of *scenario*, *timeline* and *answer*, and whose instance it is.

    It was created so many seconds *ago*.
    """

    scenario: str | None = None
    timeline: list[State] | None = None
    answer: Raw | None = None
    name: Label = "script"
    biz: int = 2
    scope_type: Literal["biz", "biz_set", "tenant_set"] = "biz"
    id: int | None = None
    flavour: Flavour | None = None
    hosts: Positive | tuple[Address, ...] | None = None
    failing: tuple[int, ...] | None = None
    beat: Seconds = 5.0
    ago: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    launch: Launch = Launch()
    faults: list[Fault] = []


def decoded(written: Any) -> Entry:
    """Make an entry of what was written, or say what is wrong with it.

    Raises:
        WrongEntryError: with the place and the reason.
    """
    try:
        return msgspec.convert(written, Entry)
    except msgspec.ValidationError as error:
        raise WrongEntryError(str(error)) from error


def enact(world: World, entry: Entry) -> Instance:
    """Begin to play *entry* now.

    Raises:
        WrongEntryError: as `story`.
    """
    told = story(entry)
    instance = world.play(
        told,
        biz=entry.biz,
        scope_type=entry.scope_type,
        job_instance_id=entry.id,
        flavour=entry.flavour,
        launch=entry.launch,
        created=world.now() - entry.ago,
    )
    if entry.faults:
        world.switch([*told.faults, *entry.faults], on=instance)
    return instance


def story(entry: Entry) -> Story | Canned:
    """Make the story that *entry* names or tells.

    Raises:
        WrongEntryError: it says too little, too much, or a name nobody knows.
    """
    match entry:
        case Entry(scenario=str(name), timeline=None, answer=None):
            return _built_in(name, entry)
        case Entry(scenario=None, timeline=[_, *_], answer=None):
            return Story(name=entry.name, timeline=_timeline(entry))
        case Entry(scenario=None, timeline=None, answer=Raw() as raw):
            body = raw.body.encode() if raw.base64 is None else raw.base64
            return Canned(status=raw.status, headers=raw.headers, body=body)
    raise WrongEntryError("give exactly one of scenario, timeline (a list) and answer")


def _built_in(name: str, entry: Entry) -> Story:
    parts = Parts(hosts=entry.hosts, failing=entry.failing, beat=entry.beat)
    try:
        return scenarios.story(name, parts)
    except KeyError as error:
        known = ", ".join(scenarios.CATALOGUE)
        raise WrongEntryError(f"no scenario {name!r}; there are: {known}") from error


def _timeline(entry: Entry) -> Timeline:
    hosts = scenarios.hosts(entry.hosts or 5)
    states = sorted(entry.timeline or (), key=lambda state: state.at)
    frames = [Frame(state.at, _moment(state, hosts)) for state in states]
    return timeline.dated(frames)


def _moment(state: State, hosts: tuple[Host, ...]) -> Moment | None:
    if state.job is None:
        return None
    return Moment(
        status=state.job, steps=tuple(_step(act, hosts) for act in state.steps)
    )


def _step(act: Act, hosts: tuple[Host, ...]) -> Step:
    return Step(
        status=act.status,
        name=act.name,
        kind=act.kind,
        execute_count=act.execute_count,
        rows=tuple(_rows(act.hosts, hosts)),
    )


def _rows(
    written: Mapping[str, int | Lot | list[int | Lot]], hosts: tuple[Host, ...]
) -> Iterator[Row]:
    everybody = {host.address: host for host in hosts} if "*" in written else {}
    for address in written:
        if address != "*" and address not in everybody:
            everybody[address] = scenarios.host(address, len(everybody))
    for address, host in everybody.items():
        lots = written.get(address, written.get("*", []))
        for lot in lots if isinstance(lots, list) else [lots]:
            yield _row(host, Lot(status=lot) if isinstance(lot, int) else lot)


def _row(host: Host, lot: Lot) -> Row:
    return Row(host, lot.status, lot.tag, lot.exit, lot.error, lot.log, lot.batch)
