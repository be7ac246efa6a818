"""Bad weather: what can go wrong between a true answer and the client.

A `Fault` is a value that a person can write down; a `Switchboard` holds those
that are switched on, for the world or for one instance; `spoil` does the damage
to an `Answer`. Luck is handed in. The faults that JOB or its bus would put into
words (throttle, expired, internal_error) are worded at the doors, ``esb`` and
``gateway``; those of callbacks strike in ``callback``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, assert_never

import msgspec
from msgspec.structs import replace

from monitor.simulator.answer import HTML, JSON, Answer, Ending


class Name(StrEnum):
    LATENCY = "latency"
    DRIP = "drip"
    SERVER_ERROR = "5xx"
    HTML = "html"
    TRUNCATE = "truncate"
    THROTTLE = "throttle"
    EXPIRED = "expired"
    INTERNAL_ERROR = "internal_error"
    REFUSE = "refuse"
    HANG = "hang"
    OVERSIZE = "oversize"
    OTHER_INSTANCE = "other_instance"
    WRONG_SHAPE = "wrong_shape"
    CALLBACK_LOST = "callback_lost"
    CALLBACK_REPEATED = "callback_repeated"
    CALLBACK_EARLY = "callback_early"


_SHAPES: Final[Mapping[str, bytes]] = {
    "data_list": b'{"result":true,"code":0,"message":"","data":[]}',
    "data_null": b'{"result":true,"code":0,"message":"","data":null}',
    "blocks_object": b'{"result":true,"code":0,"data":{"is_finished":true,'
    b'"job_instance":{"status":"three"},"blocks":{"step_instances":7},'
    b'"step_instance_list":{"status":7}}}',
    "list": b"[]",
    "null": b"null",
    "text": b'"ok"',
}

# What each fault may be set to, the default first; one number: any number.
_CHOICES: Final[Mapping[Name, tuple[str, ...] | float]] = {
    Name.LATENCY: 1.0,
    Name.DRIP: 5.0,
    Name.OVERSIZE: 50.0,
    Name.CALLBACK_EARLY: 1.0,
    Name.SERVER_ERROR: tuple(
        f"{status}{how}" for how in ("", ":empty") for status in (503, 500, 502, 504)
    ),
    Name.HTML: ("502", "200"),
    Name.TRUNCATE: ("honest", "torn"),
    Name.EXPIRED: ("token", "access_token"),
    Name.WRONG_SHAPE: tuple(_SHAPES),
}

Chance = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault; *after* and *until* are seconds since it was switched on."""

    name: Name
    value: str | int | float | None = None
    chance: Chance = 1.0
    after: float = 0.0
    until: float | None = None

    def __post_init__(self) -> None:
        _check(self.name, self.value)

    @property
    def choice(self) -> str:
        """The value in words, or the default."""
        choices = _CHOICES.get(self.name, ("",))
        default = choices if isinstance(choices, float) else choices[0]
        return str(default if self.value is None else self.value)

    @property
    def number(self) -> float:
        """The value as a number: seconds, or megabytes."""
        return float(self.choice)

    def strikes(self, elapsed: float, luck: Callable[[], float]) -> bool:
        begun = self.after <= elapsed
        over = self.until is not None and elapsed >= self.until
        return begun and not over and luck() < self.chance


def _check(name: Name, value: str | float | None) -> None:
    choices = _CHOICES.get(name, ())
    if isinstance(choices, float):
        float(choices if value is None else value)
    elif value is not None and str(value) not in choices:
        wanted = f"one of {', '.join(choices)}" if choices else "without a value"
        raise ValueError(f"{name} is {wanted}, not {value}")


class Switchboard:
    """The faults that are switched on, and since when."""

    def __init__(self, faults: Iterable[Fault] = (), *, since: float = 0.0) -> None:
        self.faults = tuple(faults)
        self._since = since

    def switch(self, faults: Iterable[Fault], *, now: float) -> None:
        """Replace all faults; their windows begin *now*."""
        self.faults = tuple(faults)
        self._since = now

    def striking(self, now: float, luck: Callable[[], float]) -> tuple[Fault, ...]:
        elapsed = now - self._since
        return tuple(fault for fault in self.faults if fault.strikes(elapsed, luck))


def spoil(answer: Answer, faults: Iterable[Fault]) -> Answer:
    """Apply *faults* in their order: a delay adds up, a new body hides the old."""
    for fault in faults:
        answer = _spoiled(answer, fault)
    return answer


def _spoiled(answer: Answer, fault: Fault) -> Answer:  # noqa: PLR0911 - one arm, one fault
    match fault.name:
        case Name.LATENCY:
            return replace(answer, wait=answer.wait + fault.number)
        case Name.DRIP:
            return replace(answer, drip=answer.drip + fault.number)
        case Name.REFUSE:
            return replace(answer, ending=Ending.REFUSED)
        case Name.HANG:
            return replace(answer, ending=Ending.NEVER)
        case Name.TRUNCATE:
            return _truncated(answer, fault.choice)
        case Name.HTML:
            return _page(answer, int(fault.choice))
        case Name.SERVER_ERROR:
            return _server_error(answer, fault.choice)
        case Name.OVERSIZE:
            return _oversized(answer, int(fault.number * 2**20))
        case Name.OTHER_INSTANCE:
            return replace(answer, body=_of_another_instance(answer.body))
        case Name.WRONG_SHAPE:
            return replace(answer, status=200, body=_SHAPES[fault.choice])
        case (
            Name.THROTTLE
            | Name.EXPIRED
            | Name.INTERNAL_ERROR
            | Name.CALLBACK_LOST
            | Name.CALLBACK_REPEATED
            | Name.CALLBACK_EARLY
        ):
            return answer
        case _:
            assert_never(fault.name)


def _truncated(answer: Answer, how: str) -> Answer:
    if how == "torn":
        return replace(answer, ending=Ending.TORN)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def _page(answer: Answer, status: int) -> Answer:
    title = "502 Bad Gateway" if status == 502 else "Log in"
    page = f"<html><head><title>{title}</title></head><body>{title}</body></html>\n"
    return replace(answer, status=status, headers=HTML, body=page.encode())


def _server_error(answer: Answer, choice: str) -> Answer:
    status, _, how = choice.partition(":")
    # The shape of Django's own error pages on the ESB: no code at all.
    body = b"" if how else b'{"result":false,"data":null,"message":"server error"}'
    return replace(answer, status=int(status), headers=JSON, body=body)


def _oversized(answer: Answer, size: int) -> Answer:
    opening = b'{"result":true,"code":0,"message":"","data":{"is_finished":"'
    return replace(answer, body=opening, padding=max(size - len(opening), 0))


def _of_another_instance(body: bytes) -> bytes:
    return re.sub(
        rb'("job_instance_id":"?)(\d+)',
        lambda found: found[1] + b"%d" % (int(found[2]) + 1),
        body,
    )
