"""What a sink of the kind ``webhook`` takes."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from monitor.core.message import Kind
from monitor.sinks import notation
from monitor.sinks.notation import HEADERS_MAX, Common, Headers, Network, Timeout, Url
from monitor.sinks.webhook import signature


def _secret(secret: SecretStr) -> SecretStr:
    signature.keys(secret.get_secret_value())
    return secret


class WebhookConfig(Common):
    kind: Literal["webhook"]

    url: Url

    secret: Annotated[SecretStr, AfterValidator(_secret)] | None = None
    """Signs each request; several, separated by space, while one replaces another."""

    secret_file: Path | None = None

    headers: Annotated[Headers, Field(max_length=HEADERS_MAX, default_factory=dict)]
    """Sent with each request, for receivers that want a token."""

    headers_file: Path | None = None
    """More of them, a line each: ``Name: value``."""

    timeout: Timeout = timedelta(seconds=15)
    """For one try as a whole."""

    ca_file: Path | None = None
    """Trust these authorities, and only these."""

    allow_networks: tuple[Network, ...] = ()
    """Private and other special addresses that this sink may reach."""

    batch: Annotated[int, Field(ge=1, le=1000)] = 1

    format: Literal["cloudevents", "alertmanager"] = "cloudevents"
    """How the body is written."""

    @model_validator(mode="after")
    def _format_can_say_it(self) -> Self:
        if self.format == "alertmanager" and Kind.EVENTS in self.send:
            raise ValueError("format alertmanager knows alerts only: send: [alerts]")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give secret or secret_file, not both")
        return self

    @property
    def origin(self) -> str:
        """The address without its path: fit to be shown."""
        return notation.origin(self.url)
