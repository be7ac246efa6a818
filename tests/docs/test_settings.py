"""``docs/settings.md`` names every setting, with what the code says of it now."""

from collections.abc import Iterator

import pytest

from documenting import settings
from documenting.settings import Setting


def every() -> Iterator[tuple[str, Setting]]:
    for chapter in settings.chapters():
        for setting in chapter.settings:
            yield chapter.title, setting


@pytest.mark.parametrize(
    "setting",
    [pytest.param(setting, id=f"{title} {setting.name}") for title, setting in every()],
)
def test_no_setting_is_without_a_meaning(setting: Setting) -> None:
    assert setting.meaning, "write below the field what it means"


def test_the_page_is_current() -> None:
    written = settings.PAGE.read_text(encoding="utf-8")

    assert written == settings.page(), "write it anew: python -m documenting.settings"


def test_what_lies_deep_is_found() -> None:
    found = {f"{title} {setting.name}" for title, setting in every()}

    assert found >= {
        "At the top `store`".replace("`", ""),
        "`sources.<name>` app_secret_file",
        "`alerts` hosts_failed.severity.hidden",
        "`alerts` inhibit[].source_match",
        "`routes[]` continue",
        "`sinks[]` max_backlog",
        "`sinks[]` with `kind: broker` stream",
    }


@pytest.mark.parametrize(
    ("name", "takes", "default"),
    [
        ("settle", "duration", "`30m`"),
        ("max_in_flight", "whole number, at least 1, at most 10,000", "`64`"),
        ("timezone", "offset like `+08:00`", "`+08:00`"),
        ("credentials_in", "`body`, `header`", "`body`"),
        ("max_body", "size", "`64MiB`"),
        ("api", "`esb-v2`, `esb-v3`, `gateway-v3`, `gateway-v4`", "required"),
        ("allow_networks", "list of networks like `10.0.0.0/8`", "`[]`"),
        ("urls", "list of addresses, `http://` or `https://`, kept secret", "required"),
    ],
)
def test_types_and_defaults_are_written_as_people_write_them(
    name: str, takes: str, default: str
) -> None:
    first = next(setting for _, setting in every() if setting.name == name)

    assert (first.takes, first.default) == (takes, default)
