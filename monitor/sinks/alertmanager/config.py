"""What a sink of the kind ``alertmanager`` takes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    model_validator,
)

from monitor import durations
from monitor.core.message import Kind
from monitor.sinks import notation
from monitor.sinks.notation import HEADERS_MAX, Common, Headers, Network, Timeout, Url


def _base(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    if parts.query or parts.fragment or "/api/v" in parts.path:
        raise ValueError("must end before /api: no ? and no #")
    return SecretStr(url.get_secret_value().rstrip("/"))


def _duration(value: Any) -> Any:
    return value if isinstance(value, timedelta) else durations.parse(str(value))


def _resent(value: timedelta) -> timedelta:
    if not timedelta(seconds=10) <= value <= timedelta(minutes=10):
        raise ValueError("must be between 10s and 10m")
    return value


class AlertmanagerConfig(Common):
    kind: Literal["alertmanager"]

    urls: Annotated[
        tuple[Annotated[Url, AfterValidator(_base)], ...],
        Field(min_length=1, max_length=16),
    ]
    """Each member of one cluster of Alertmanagers: every one is sent everything, as
    they do not pass alerts on to one another."""

    username: Annotated[str, Field(min_length=1, pattern=r"^[^:]*$")] | None = None
    """For basic authentication, with a password."""

    password: Annotated[SecretStr, Field(min_length=1)] | None = None
    """Of ``username``; or ``password_file``."""

    password_file: Path | None = None

    headers: Annotated[Headers, Field(max_length=HEADERS_MAX, default_factory=dict)]
    """Sent with each request."""

    headers_file: Path | None = None
    """More of them, a line each: ``Authorization: Bearer …``."""

    resend_every: Annotated[
        timedelta, BeforeValidator(_duration), AfterValidator(_resent)
    ] = timedelta(minutes=1)
    """How often Alertmanager is told of what still holds, 10s to 10m; after four times
    that in silence it takes it for over."""

    timeout: Timeout = timedelta(seconds=10)
    """For one try as a whole."""

    ca_file: Path | None = None
    """Trust these authorities, and only these."""

    allow_networks: tuple[Network, ...] = ()
    """Private and other special addresses that this sink may reach."""

    @model_validator(mode="after")
    def _alerts_only(self) -> Self:
        if Kind.EVENTS in self.send:
            raise ValueError("Alertmanager knows alerts only: send: [alerts]")
        return self

    @model_validator(mode="after")
    def _proven_in_one_way(self) -> Self:
        given = (self.password, self.password_file)
        if given.count(None) == 0:
            raise ValueError("give password or password_file, not both")
        if (self.username is None) != (given == (None, None)):
            raise ValueError("username and password go together")
        if self.username and "authorization" in map(str.lower, self.headers):
            raise ValueError("there is an Authorization header beside username")
        return self

    @property
    def level(self) -> bool:
        return True

    @property
    def origin(self) -> str:
        return " ".join(map(notation.origin, self.urls))
