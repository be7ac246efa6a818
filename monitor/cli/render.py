"""``job-monitor render``: a message as a template, a preset or a sink would write it."""

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from msgspec import structs

from monitor import clock, errors
from monitor.cli import daemon, options, printing
from monitor.core import trying
from monitor.core.message import Message
from monitor.formats.library import JSON, Library, Template
from monitor.formats.robots import ROBOTS
from monitor.settings import loading, secret, templating
from monitor.settings.model import Settings
from monitor.sinks import bodies
from monitor.sinks.bodies import Writing
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.printable import printable
from monitor.web.shapes import messages
from monitor.web.shapes.messages import MessageData

_SINK: Final = "render"


class Example(StrEnum):
    FIRING = "firing"
    RESOLVED = "resolved"
    EVENT = "event"


class Locale(StrEnum):
    EN = "en"
    ZH = "zh-CN"


class Robot(StrEnum):
    WECOM = "wecom"
    DINGTALK = "dingtalk"
    FEISHU = "feishu"
    SLACK = "slack"


def render(
    *,
    by: Annotated[
        str,
        typer.Argument(
            metavar="SINK|TEMPLATE|PRESET|FILE",
            show_default=False,
            help="A sink or a template of the configuration; wecom, dingtalk, feishu or"
            " slack; or the file of a template.",
        ),
    ],
    of: Annotated[
        str | None,
        typer.Argument(
            metavar="ID|KEY",
            show_default=False,
            help="The id of a notification (2/20000153!1) or of an event (2/20000153#4);"
            " or the key of an instance or the name of a group: its last notification.",
        ),
    ] = None,
    example: Annotated[
        Example | None,
        typer.Option("--example", help="In place of what is on record, an example."),
    ] = None,
    locale: Annotated[
        Locale | None,
        typer.Option(
            "--locale",
            show_default=False,
            help="The language.  [default: that of the sink, or of the configuration]",
        ),
    ] = None,
    robot: Annotated[
        Robot | None,
        typer.Option(
            "--robot", help="With a file: it is for the markup of this robot."
        ),
    ] = None,
    content_type: Annotated[
        str,
        typer.Option("--content-type", help="With a file: the type of what it writes."),
    ] = JSON,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="The very bytes, and no JSON set out for people."),
    ] = False,
    config: options.Config = None,
    socket: options.Socket = None,
) -> None:
    """Write a message as a template, a preset or a sink would; nothing is sent.

    The message comes from the daemon's record; of an incident that nobody was told
    of it is what the first message would be. An example needs no daemon. Ends with 1
    if the message cannot be written so, and says in which line of the template.

    Try:

      job-monitor render slack --example firing

      job-monitor render ticket.json.j2 'prod/2/20000153!1'

      job-monitor render oncall prod/2/20000153 --config edited.yaml
    """
    if (of is None) == (example is None):
        raise typer.BadParameter("say of what: an id or a key, or else --example")
    settings = _settings(config)
    file = Template(
        name=by, source="", content_type=content_type, robot=robot and robot.value
    )
    written = _writing(by, settings, file, locale)
    wanted = locale or (settings.locale if settings else Locale.EN)
    told = _example(example, wanted) if of is None else _recorded(of, config, socket)
    typer.echo(_shown(written, written.body(told), raw=raw), nl=False)


def _settings(config: Path | None) -> Settings | None:
    named = config is not None or loading.DEFAULT.exists()
    return loading.load(config, os.environ) if named else None


def _writing(
    by: str, settings: Settings | None, file: Template, locale: str | None
) -> Writing:
    library = templating.library(settings) if settings else Library()
    if locale is not None:
        library = structs.replace(library, locale=locale)
    for sink in settings.sinks if settings else ():
        if sink.name == by:
            return bodies.of(_in(sink, locale), library, clock.utc_now())
    if by in library.templates or by in ROBOTS:
        return _by(library.find(by))
    if not Path(by).is_file():
        known = ", ".join(_known(settings, library))
        raise typer.BadParameter(
            f"{by!r} is no file, and no sink or template; there are: {known}"
        )
    source = secret.read(Path(by))
    return _by(structs.replace(file, source=source, locale=library.locale))


def _in(sink: SinkConfig, locale: str | None) -> SinkConfig:
    """Let a sink write in another language, if it has one of its own."""
    if locale is None or not hasattr(sink, "locale"):
        return sink
    return sink.model_copy(update={"locale": locale})


def _known(settings: Settings | None, library: Library) -> list[str]:
    sinks = [sink.name for sink in settings.sinks] if settings else []
    return [*sinks, *library.templates, *ROBOTS]


def _by(template: Template) -> Writing:
    # Who uses no template needs no Jinja2.
    from monitor.formats import templates  # noqa: PLC0415

    if why := templates.fault(template):
        raise errors.Misconfigured(f"{template.name}: {why}")
    content_type = JSON if template.robot else template.content_type
    return Writing(content_type, partial(templates.render, template))


def _example(example: Example | None, locale: str) -> Message:
    now = clock.utc_now()
    match example:
        case Example.EVENT:
            return trying.event(_SINK, now, locale)
        case Example.RESOLVED:
            return trying.notifications_of(_SINK, now, locale)[-1]
        case _:
            return trying.notifications_of(_SINK, now, locale)[0]


def _recorded(of: str, config: Path | None, socket: Path | None) -> Message:
    found = daemon.found(config, socket).get("/messages", MessageData, of=of)
    what = f"{found.id}, {printing.ago(found.time)} ago"
    if not found.kept:
        what = (
            f"nobody was told of {found.key}; this is what the first message would be"
        )
    typer.echo(what, err=True)
    return messages.message(found)


def _shown(written: Writing, body: bytes, *, raw: bool) -> bytes:
    if raw:
        return body
    kind = written.content_type.partition(";")[0].strip()
    if kind == JSON or kind.endswith("+json"):
        body = msgspec.json.format(body)
    return "".join(f"{_fit(line)}\n" for line in _lines(body)).encode()


def _lines(body: bytes) -> list[str]:
    return body.decode(errors="backslashreplace").rstrip("\n").split("\n")


def _fit(line: str) -> str:
    """Let nothing that came from JOB or from a log command a terminal."""
    return "\t".join(printable(part, len(part) + 1) for part in line.split("\t"))
