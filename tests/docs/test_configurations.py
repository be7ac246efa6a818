"""Every configuration that a page shows is one: the daemon would take it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from monitor import errors
from monitor.settings import document, loading
from monitor.settings.model import Settings
from tests.docs import pages
from tests.docs.pages import Block

FOREIGN: Final = frozenset(
    {
        "defaults",
        "discover",
        "groups",
        "instances",
        "receivers",
        "route",
        "scrape_configs",
        "watchLists",
        "watches",
    }
)
"""Keys of watch lists, the simulator, the chart, Prometheus and Alertmanager."""

CREDENTIALS: Final = "/run/credentials/job-monitor.service/"
SOURCE: Final = {
    "api": "esb-v2",
    "url": "https://paas.example.com",
    "access_token": "a",
}


def shown() -> Iterator[Block]:
    for page in pages.PAGES:
        for block in pages.configurations(page):
            if not FOREIGN & set(read(block.text)):
                yield block


def read(text: str) -> Mapping[str, Any]:
    """Read as the daemon reads, for whom ``on`` is a word."""
    found = document.parse(text.replace(CREDENTIALS, "secrets/").encode(), "block")
    assert not found.faults
    return found.data


def completed(part: Mapping[str, Any]) -> dict[str, Any]:
    """Add a source, and a sink for each name that leads to one."""
    sinks = list(part.get("sinks", []))
    there = {sink["name"] for sink in sinks}
    missing = sorted({*wanted(part)} - there)
    sinks += [{"name": name, "kind": "log"} for name in missing]
    rest = {"sinks": sinks} if sinks else {}
    return {"sources": {"prod": SOURCE}, **part, **rest}


def wanted(value: object) -> Iterator[str]:
    """Name the sinks that routes lead to."""
    match value:
        case {"routes": list(routes), **others}:
            for route in routes:
                yield from route.get("sinks", ())
                yield from wanted(route)
            yield from wanted(others)
        case list():
            for each in value:
                yield from wanted(each)
        case _:
            return


def files(value: object, key: str = "") -> Iterator[str]:
    """Name the files that a configuration wants to be there."""
    match value:
        case dict():
            for name, inside in value.items():
                yield from files(inside, name)
        case list():
            for each in value:
                yield from files(each, key)
        case str() if key == "file" or key.endswith("_file"):
            yield value
        case _:
            return


def load(text: str, directory: Path) -> Settings:
    given = completed(read(text))
    for name in files(given):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mailtos://user:secret@example.com" if "urls" in name else "x")
    path = directory / "monitor.yaml"
    path.write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
    return loading.load(path, {})


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=str(block)) for block in shown()]
)
def test_a_configuration_on_a_page_is_accepted(block: Block, tmp_path: Path) -> None:
    assert load(block.text, tmp_path).sources


def test_a_key_that_is_none_would_be_noticed(tmp_path: Path) -> None:
    with pytest.raises(errors.Misconfigured, match="setle_for"):
        load("alerts: {setle_for: 5m}", tmp_path)
