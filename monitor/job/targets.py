"""From the rows of an answer to hosts, and to what their scripts said at the end."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

from msgspec import Meta

from monitor import errors
from monitor.core import codes, model
from monitor.core.model import HostId, Outcome
from monitor.job import lenient

Int = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Ip = Annotated[str, Meta(max_length=128)]

_SAID_NOTHING: Final = Outcome()


class Row(Protocol):
    """A row of any generation since v3."""

    status: Int
    exit_code: Any
    tag: Any


def gathered(
    rows: Sequence[tuple[HostId, Row]],
) -> tuple[Mapping[HostId, int], Mapping[HostId, Outcome]]:
    """Gather hosts, and the outcomes of the failed ones, each from its worst row."""
    hosts = model.rows((host, row.status) for host, row in rows)
    outcomes: dict[HostId, Outcome] = {}
    for host, row in rows:
        if row.status == hosts[host] and codes.host_failed(row.status):
            known, said = outcomes.get(host, _SAID_NOTHING), _outcome(row)
            # The order of rows is unstable, so it must not choose between equals.
            outcomes[host] = max(known, said, key=_weight)
    return hosts, {h: o for h, o in outcomes.items() if o != _SAID_NOTHING}


def checked(ips: Iterable[str | None]) -> None:
    """Refuse what no ip has, above all what would read as a part of a host id."""
    joined = "".join(ip for ip in ips if ip)
    if "#" in joined or not joined.isprintable():
        raise errors.Garbled("an ip with characters that no ip has")


def _outcome(row: Row) -> Outcome:
    return Outcome(lenient.number(row.exit_code), lenient.words(row.tag))


def _weight(outcome: Outcome) -> tuple[bool, int, str]:
    return outcome.exit_code is not None, outcome.exit_code or 0, outcome.tag
