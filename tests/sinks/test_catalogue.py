"""The catalogue opens every kind, and plugins by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from monitor import clock, errors
from monitor.sinks import catalogue
from monitor.sinks.plugin.config import PluginConfig
from tests.sinks import strangers


async def open_plugin(plugin: str) -> None:
    config = PluginConfig(name="archive", kind="plugin", plugin=plugin)
    async with catalogue.opened(config, now=clock.utc_now):
        pass


@pytest.mark.usefixtures("site")
async def test_an_unknown_plugin_is_answered_with_the_known_ones() -> None:
    with pytest.raises(errors.Misconfigured, match=r"'mail'.*known: file, hanging"):
        await open_plugin("mail")


async def test_a_plugin_that_cannot_be_imported_is_a_misconfiguration(
    site: Path,
) -> None:
    strangers.install(site, "broken", "import nowhere_to_be_found")
    strangers.install(site, "void", "")

    with pytest.raises(errors.Misconfigured, match="nowhere_to_be_found"):
        await open_plugin("broken")
    with pytest.raises(errors.Misconfigured, match="no attribute 'opened'"):
        await open_plugin("void")


@pytest.mark.usefixtures("site")
async def test_a_plugin_may_refuse_its_options() -> None:
    with pytest.raises(errors.Misconfigured, match="options has no path"):
        await open_plugin("file")


def test_reading_the_configuration_imports_no_technology() -> None:
    code = (
        "import sys, monitor.sinks.catalogue\n"
        "print(*{'aiohttp', 'jinja2', 'structlog', 'ssl'} & sys.modules.keys())"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert done.stdout == "\n"
