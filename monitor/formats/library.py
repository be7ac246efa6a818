"""All the templates there are: those of the operator, and the presets for robots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from monitor import errors
from monitor.formats.robots import ROBOTS

JSON: Final = "application/json"
_PRESETS: Final = Path(__file__).parent / "presets"


class Template(Struct, frozen=True, kw_only=True):
    """*robot*: what it writes is for the markup of that, and sent as it wants it."""

    name: str
    source: str
    content_type: str = JSON
    robot: str | None = None
    locale: str = "en"


class Library(Struct, frozen=True):
    """*locale* is that of whoever wants no other."""

    templates: Mapping[str, Template] = {}
    locale: str = "en"

    def find(self, name: str, locale: str | None = None) -> Template:
        """Give a template or a preset; Misconfigured where there is none."""
        locale = locale or self.locale
        if name in self.templates:
            return structs.replace(self.templates[name], locale=locale)
        if name in ROBOTS:
            return preset(name, locale)
        known = ", ".join(sorted({*self.templates, *ROBOTS}))
        raise errors.Misconfigured(f"there is no template {name!r}; known: {known}")


def preset(name: str, locale: str) -> Template:
    """Give the template that we bring for a robot."""
    source = (_PRESETS / f"{name}.j2").read_text(encoding="utf-8")
    return Template(name=name, source=source, robot=name, locale=locale)
