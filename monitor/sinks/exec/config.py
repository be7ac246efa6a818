"""What a sink of the kind ``exec`` takes."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from monitor.sinks.notation import Common, Timeout

OURS: Final = "JOB_MONITOR_"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic words these alone
            'must be a list, as no shell reads it: write ["/usr/local/bin/page", "--now"]'
        )
    return value


def _argument(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not hold a NUL")
    return text


def variable(name: str) -> str:
    if not _NAME.fullmatch(name) or name.startswith(OURS):
        raise ValueError(
            f"{name[:40]!r} cannot name a variable: letters, digits and _, and not"
            f" {OURS}…, which are ours to set"
        )
    return name


def value(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if "\0" in text or len(text) > 32_768:
        raise ValueError("the value of a variable has no NUL and at most 32 KiB")
    return secret


Environment = dict[
    Annotated[str, AfterValidator(variable)],
    Annotated[SecretStr, AfterValidator(value)],
]


class ExecConfig(Common):
    kind: Literal["exec"]

    command: Annotated[
        tuple[Annotated[str, Field(max_length=4096), AfterValidator(_argument)], ...],
        BeforeValidator(_listed),
        Field(min_length=1, max_length=256),
    ]
    """The program and its arguments; the message is its standard input. No shell."""

    directory: Path | None = None
    """Where it runs; null: ``/``."""

    environment: Annotated[Environment, Field(max_length=256, default_factory=dict)]
    """What it finds in its environment, beside ``PATH``, ``LANG``, ``JOB_MONITOR_SINK``
    and ``JOB_MONITOR_TYPE``. Nothing else."""

    environment_file: Path | None = None
    """More of them, a line each: ``NAME=value``."""

    timeout: Timeout = timedelta(seconds=30)
    """Then it is ended, with all that it has started."""

    at_once: Annotated[int, Field(ge=1, le=8)] = 4
    """So many of them run at a time."""

    @model_validator(mode="after")
    def _has_a_program(self) -> Self:
        if not self.command[0]:
            raise ValueError("command: the first of the list is the program")
        return self


def lines(text: str) -> dict[str, SecretStr]:
    """Read the lines of an *environment_file*; ValueError shows no value."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if not line.startswith("#"):
            name, _, given = line.partition("=")
            found[variable(name.strip())] = value(SecretStr(given.strip()))
    return found
