"""Writes ``docs/settings.md`` from the settings' own classes and the texts below each field.

``python -m documenting.settings`` writes the page anew; a test holds it current.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

from msgspec import Struct
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from documenting import values
from monitor.settings.model import Settings
from monitor.sinks.catalogue import SinkConfig
from monitor.sinks.notation import Common

PAGE: Final = Path(__file__).parents[1] / "docs" / "settings.md"
SINKS: Final = get_args(get_args(SinkConfig)[0])

MORE: Final[Mapping[str, str]] = {
    "sources": "[platforms.md](platforms.md)",
    "polling": "[architecture.md](architecture.md)",
    "alerts": "[alerts.md](alerts.md), [telling.md](telling.md)",
    "routes": "[telling.md](telling.md#routes)",
    "silences": "[quiet.md](quiet.md#silences)",
    "maintenance": "[quiet.md](quiet.md#maintenance)",
    "templates": "[templates.md](templates.md)",
    "web": "[metrics.md](metrics.md), [callback.md](callback.md)",
    "plugin": "[sinks.md](sinks.md#writing-a-sink-of-your-own)",
}
"""Where people read on."""

_OPENING: Final = """\
<!-- Written by `python -m documenting.settings`: change the texts in monitor/settings and monitor/sinks. -->

# Every setting

All keys of `monitor.yaml`. A file with all of them to copy from is `deploy/monitor.example.yaml`; a source with its
credentials is all that must be there. `job-monitor check` names every mistake with its line, and prints what is in
effect.

- **Durations** are whole numbers with units, the larger first: `500ms`, `30s`, `5m`, `2h5m`, `90d`. **Sizes**: `64KiB`,
  `64MiB`, `1GiB`, between 1 KiB and 1 GiB.
- **Paths** that are relative start at the directory of the file.
- **Kept secret**: masked wherever it is shown. Such a key `x` may be given as `x_file` where the tables have one: a file
  that holds nothing else, read anew when the secret is refused.
- **Matchers** are written as [in Alertmanager](sinks.md).
- **Variables**: every key is one too, and wins over the file. `MONITOR_`, then the levels with `__` between them:
  `MONITOR_SOURCES__PROD__APP_SECRET`, `MONITOR_LOG__LEVEL=debug`. Lists and objects are JSON; an empty variable is null.
  `MONITOR_CONFIG` and `MONITOR_SOCKET` are read by the [command line](cli.md#what-all-have-in-common).
- An unknown key is a mistake. `null` is what is meant where nothing is given.
"""


class Setting(Struct, frozen=True):
    """A row of the page; *meaning* is empty where nobody wrote any."""

    name: str
    takes: str
    default: str
    meaning: str

    def __str__(self) -> str:
        return f"| `{self.name}` | {self.takes} | {self.default} | {self.meaning} |"


class Chapter(Struct, frozen=True):
    title: str
    opening: str
    settings: tuple[Setting, ...]

    def __str__(self) -> str:
        rows = "\n".join(map(str, self.settings))
        table = f"| key | takes | default | meaning |\n|---|---|---|---|\n{rows}"
        return "\n\n".join(filter(None, (f"## {self.title}", self.opening, table)))


def page() -> str:
    return "\n".join((_OPENING, *(f"{chapter}\n" for chapter in chapters())))


def chapters() -> Iterator[Chapter]:
    hints = _hints(Settings)
    plain = [name for name in hints if _model(hints[name]) is None and name != "sinks"]
    yield Chapter("At the top", "", tuple(_settings(Settings, only=plain)))
    for name, hint in hints.items():
        if (model := _model(hint)) is not None:
            title = f"`{_path(name, hint)}`"
            yield Chapter(title, _opening(name), tuple(_settings(model)))
    yield Chapter("`sinks[]`", _opening("sinks"), tuple(_settings(Common)))
    yield from map(_of_kind, SINKS)


def _opening(name: str) -> str:
    more = f"More: {MORE[name]}." if name in MORE else ""
    return " ".join(filter(None, (meanings(Settings).get(name), more)))


def _of_kind(model: type[BaseModel]) -> Chapter:
    [kind] = get_args(model.model_fields["kind"].annotation)
    own = [name for name in model.__annotations__ if name != "kind"]
    more = MORE.get(kind, f"[sinks.md](sinks.md#{kind})")
    return Chapter(
        f"`sinks[]` with `kind: {kind}`",
        f"More: {more}.",
        tuple(_settings(model, only=own)),
    )


def _settings(
    model: type[BaseModel], before: str = "", only: list[str] | None = None
) -> Iterator[Setting]:
    """List what can be set in *model*, and in the sections within it."""
    hints, told = _hints(model), meanings(model)
    for name, field in model.model_fields.items():
        if only is None or name in only:
            called = before + (field.alias or name)
            inside = _model(hints[name])
            if inside is None or inside is model:
                yield _setting(called, field, hints[name], told.get(name, ""))
            else:
                yield from _settings(inside, f"{_path(called, hints[name])}.")


def _setting(called: str, field: FieldInfo, hint: Any, meaning: str) -> Setting:
    default = "required" if field.is_required() else values.written(_default(field))
    return Setting(called, values.words(hint), default, meaning)


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """Tell what is written below each field, by *model* or by what it inherits from.

    A file that stands for another key needs no text of its own.
    """
    inherited = [kind for kind in model.__mro__ if issubclass(kind, BaseModel)]
    found: dict[str, str] = {}
    for kind in reversed(inherited[: inherited.index(BaseModel)]):
        found |= _texts(kind)
    for name in model.model_fields:
        instead = name.removesuffix("_file")
        if instead != name and instead in model.model_fields:
            found.setdefault(name, f"Holds `{instead}`, in its place.")
    return found


def _texts(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101 - the source of a class
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                yield name, values.prose(said)


def _hints(model: type[BaseModel]) -> Mapping[str, Any]:
    hints = get_type_hints(model, include_extras=True)
    return {name: hints[name] for name in model.model_fields}


def _model(hint: Any) -> type[BaseModel] | None:
    """Find the one section that a field holds, one or many of."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return hint
    inner = [found for found in map(_model, get_args(hint)) if found is not None]
    return inner[0] if len(set(inner)) == 1 else None


def _path(name: str, hint: Any) -> str:
    """Write where the keys of a section stand: ``sources.<name>``, ``routes[]``."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _path(name, get_args(hint)[0])
    if origin in (Union, UnionType):
        return name
    return (
        f"{name}.<name>" if origin is dict else f"{name}[]" if origin is tuple else name
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
