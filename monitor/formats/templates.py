"""Messages written by templates: of the operator, or the presets for robots.

``render`` is pure: a template and a message give a body. What does not fit is
written again with less in ``brief``.
"""

import traceback
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec
from jinja2 import TemplateError
from jinja2.exceptions import TemplateSyntaxError
from markupsafe import Markup
from markupsafe import escape as html

from monitor import errors
from monitor.core.message import NOTIFICATION, Message
from monitor.formats import brief, reading, robots, sandbox, words
from monitor.formats.brief import Brief
from monitor.formats.library import JSON, Template
from monitor.formats.robots import ROBOTS, Heading

SOURCE_MAX: Final = 32 * 1024
"""Characters of a template."""

DATA_MAX: Final = 1 << 20
BODY_MAX: Final = 256 * 1024


def fault(template: Template) -> str:
    """Say what is wrong with a template, before anything is rendered; "" if nothing."""
    try:
        _compiled(template)
    except TemplateSyntaxError as exc:
        return f"line {exc.lineno}: {exc.message}"
    except (SyntaxError, RecursionError, ValueError) as exc:
        return f"cannot be compiled: {exc}"
    return ""


def render(template: Template, message: Message) -> bytes:
    """Write the body; Rejected where the template cannot say this message."""
    if len(message.data) > DATA_MAX:
        raise errors.Rejected(f"the message has more than {DATA_MAX} bytes")
    if message.type != NOTIFICATION and template.name in ROBOTS:
        raise errors.Rejected(f"the preset {template.name} knows alerts only")
    why = ""
    for given in _contexts(template, message):
        try:
            return _body(template, given)
        except sandbox.TooMuch as exc:
            why = str(exc)
        except (TemplateError, *_MISTAKES) as exc:
            why = f"{_line(template, exc)}{type(exc).__name__}: {exc}"
            break
    raise errors.Rejected(f"template {template.name}: {why}")


def _line(template: Template, exc: BaseException) -> str:
    """Say where it went wrong, as far as Jinja's traceback tells."""
    found = [
        frame.f_lineno
        for frame, _ in traceback.walk_tb(exc.__traceback__)
        if frame.f_code.co_filename == template.name
    ]
    return f"line {found[-1]}: " if found else ""


_MISTAKES: Final = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError),
    ValueError,
)
"""What comes of a template that expects something else."""


def _contexts(template: Template, message: Message) -> Iterator[Mapping[str, Any]]:
    told = {
        "message": {
            "id": message.id,
            "key": message.key,
            "type": message.type,
            "source": message.source,
            "subject": message.subject,
            "time": message.time.isoformat(),
            "sequence": message.sequence,
        },
        "data": _decoded(message),
        "locale": template.locale,
        "words": msgspec.to_builtins(words.of(template.locale)),
    }
    if message.type != NOTIFICATION:
        yield {**told, "brief": None}
        return
    data = reading.notification(message)
    for room in brief.ROOMS:
        yield {**told, "brief": brief.of(data, template.locale, room)}


def _decoded(message: Message) -> Any:
    try:
        return msgspec.json.decode(message.data)
    except msgspec.MsgspecError as exc:
        raise errors.Rejected(f"the message is no JSON: {exc}") from None


def _body(template: Template, given: Mapping[str, Any]) -> bytes:
    about: Brief | None = given["brief"]
    text = _text(template, {**given, "brief": msgspec.to_builtins(about)})
    if template.robot is None:
        return _valid(template, text.encode())
    robot = ROBOTS[template.robot]
    if about is None:
        heading = Heading(f"{given['message']['type']} {given['message']['key']}", "")
    else:
        heading = Heading(about.headline, about.severity if about.firing else "")
    payload = robot.payload(heading, text)
    body = msgspec.json.encode(payload)
    if not robot.fits(payload, body):
        raise sandbox.TooMuch(f"it writes more than a {robot.name} robot takes")
    return body


def _text(template: Template, given: Mapping[str, Any]) -> str:
    spent = sandbox.budget.set(sandbox.Budget(len(template.source)))
    try:
        found: list[str] = []
        length = 0
        for chunk in _compiled(template).generate(**given):
            found.append(chunk)
            length += len(chunk.encode())
            if length > BODY_MAX:
                raise sandbox.TooMuch(f"it writes more than {BODY_MAX} bytes")
        return "".join(found)
    finally:
        sandbox.budget.reset(spent)


def _valid(template: Template, body: bytes) -> bytes:
    if _is_json(template.content_type):
        try:
            msgspec.json.decode(body)
        except msgspec.MsgspecError as exc:
            raise ValueError(f"what it writes is no JSON: {exc}") from None
    return body


@lru_cache(maxsize=64)
def _compiled(template: Template) -> Any:
    if len(template.source) > SOURCE_MAX:
        raise ValueError(f"it has more than {SOURCE_MAX} characters")
    box = sandbox.Box(_escape(template), link=_link)
    return box.compiled(template.source, template.name)


def _escape(template: Template) -> sandbox.Escape | None:
    if template.robot is not None:
        robot = ROBOTS[template.robot]
        return lambda value: robot.escape(str(value))
    kind = template.content_type.partition(";")[0].strip().lower()
    if _is_json(kind):
        return _in_json
    if kind in ("text/html", "text/xml", "application/xml") or kind.endswith("+xml"):
        return html
    return None


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == JSON or kind.endswith("+json")


def _in_json(value: Any) -> str:
    """Write what can stand inside the quotes of a string, or a bare number."""
    encoded = msgspec.json.encode(str(value) if isinstance(value, str) else value)
    text = encoded.decode()
    return text[1:-1] if text.startswith('"') else text


def _link(value: str) -> Markup:
    return Markup(robots.address(value))  # noqa: S704
