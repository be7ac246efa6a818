"""What may be configured about how messages are written."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from monitor.core.message import Kind
from monitor.formats.library import JSON
from monitor.formats.robots import ROBOTS
from monitor.settings.section import Section
from monitor.sinks.webhook.config import WebhookConfig


def _name(name: str) -> str:
    if name in ROBOTS:
        raise ValueError("is the name of a preset; take another")
    return name


TemplateName = Annotated[
    str, Field(pattern=r"^[a-z0-9_-]{1,64}$"), AfterValidator(_name)
]
ContentType = Annotated[
    str, StringConstraints(pattern=r"^[a-z]+/[a-z0-9.+-]+(; ?charset=[a-zA-Z0-9-]+)?$")
]


class TemplateSettings(Section):
    """Text for Jinja2, in a sandbox; see docs/templates.md for what it is given."""

    body: Annotated[str, StringConstraints(min_length=1)] | None = None
    """The text; or ``file``."""

    file: Path | None = None
    """Holds the text in place of ``body``."""

    content_type: ContentType = JSON
    """Decides how text is escaped, and is sent along."""

    robot: Literal["wecom", "dingtalk", "feishu", "slack"] | None = None
    """The text is for the markup of this robot, and sent as it wants it."""

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.body is None) == (self.file is None):
            raise ValueError("give body or file, one of the two")
        return self


def check_template(
    sink: WebhookConfig, templates: Mapping[str, TemplateSettings]
) -> None:
    """Raise ValueError where a sink's template is not there, or is not for it."""
    name = sink.template or ""
    if name not in templates and name not in ROBOTS:
        known = ", ".join(sorted({*templates, *ROBOTS}))
        raise ValueError(
            f"sink {sink.name}: there is no template {name!r}; there are: {known}"
        )
    if name in ROBOTS and Kind.EVENTS in sink.send:
        raise ValueError(
            f"sink {sink.name}: the preset {name} knows alerts only: send: [alerts]"
        )
    robot = templates[name].robot if name in templates else name
    signs = robot is not None and ROBOTS[robot].sign is not None
    if (sink.robot_secret or sink.robot_secret_file) and not signs:
        raise ValueError(
            f"sink {sink.name}: robot_secret is for dingtalk and feishu only"
        )
