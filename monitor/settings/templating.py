"""The templates of the settings as ``formats`` takes them, files read anew."""

from collections.abc import Iterator

from monitor import errors
from monitor.formats.library import Library, Template
from monitor.settings import secret
from monitor.settings.document import Loc
from monitor.settings.model import Settings
from monitor.settings.templates import TemplateSettings


def library(settings: Settings) -> Library:
    """Read all of them; Misconfigured, which names the file."""
    found = {name: _template(name, t) for name, t in settings.templates.items()}
    return Library(found, settings.locale)


def faults(settings: Settings) -> Iterator[tuple[Loc, str]]:
    """Find the templates that are none; files that are not there aside."""
    if not settings.templates:
        return
    # Who writes no template needs no Jinja2.
    from monitor.formats import templates  # noqa: PLC0415

    for name, given in settings.templates.items():
        key = "body" if given.file is None else "file"
        try:
            why = templates.fault(_template(name, given))
        except errors.Misconfigured:
            continue
        if why:
            yield ("templates", name, key), why


def _template(name: str, given: TemplateSettings) -> Template:
    source = given.body if given.file is None else secret.read(given.file)
    return Template(
        name=name,
        source=source or "",
        content_type=given.content_type,
        robot=given.robot,
    )
