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
    """Where each message is posted to. Only its origin is ever shown."""

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
    """Messages in one request. More than one is not built yet."""

    format: Literal["cloudevents", "alertmanager", "template"] = "cloudevents"
    """How the body is written."""

    template: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    """Of the format ``template``: an entry of ``templates``, or a preset."""

    locale: Literal["en", "zh-CN"] | None = None
    """The language of a preset; null: that of everything."""

    robot_secret: Annotated[SecretStr, Field(min_length=1)] | None = None
    """Signs as DingTalk's and Feishu's robots want it; or ``robot_secret_file``."""

    robot_secret_file: Path | None = None

    @model_validator(mode="after")
    def _format_can_say_it(self) -> Self:
        if self.format == "alertmanager" and Kind.EVENTS in self.send:
            raise ValueError("format alertmanager knows alerts only: send: [alerts]")
        if (self.format == "template") != (self.template is not None):
            raise ValueError("format: template and the key template go together")
        return self

    @model_validator(mode="after")
    def _robot_is_spoken_to(self) -> Self:
        given = (self.robot_secret, self.robot_secret_file)
        if given.count(None) == 0:
            raise ValueError("give robot_secret or robot_secret_file, not both")
        if self.template is None and (given != (None, None) or self.locale):
            raise ValueError("robot_secret and locale need format: template")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("give secret or secret_file, not both")
        return self

    @property
    def level(self) -> bool:
        # Who takes Alertmanager's webhooks waits for the end of each alert.
        return self.format == "alertmanager"

    @property
    def origin(self) -> str:
        return notation.origin(self.url)
