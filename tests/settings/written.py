"""Configuration as people write it, and what is said of it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from monitor import errors
from monitor.settings import loading
from monitor.settings.model import Settings

SOURCE = """\
sources:
  prod:
    api: esb-v2
    url: https://paas.example.com
    app_code: job-monitor
    app_secret: 0123canary
    username: admin
"""

ENVIRONMENT = {
    "MONITOR_SOURCES__PROD__API": "esb-v2",
    "MONITOR_SOURCES__PROD__URL": "https://paas.example.com",
    "MONITOR_SOURCES__PROD__ACCESS_TOKEN": "[canary]",
}


def written(directory: Path, text: str) -> Path:
    path = directory / "monitor.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(
    directory: Path, text: str = SOURCE, environ: Mapping[str, str] | None = None
) -> Settings:
    return loading.load(written(directory, text), environ or {})


def faults(
    directory: Path, text: str = SOURCE, environ: Mapping[str, str] | None = None
) -> list[str]:
    """Load what must be refused; the directory is left out of the lines."""
    with pytest.raises(errors.Misconfigured) as caught:
        loaded(directory, text, environ)
    return [fault.replace(f"{directory}/", "") for fault in caught.value.faults]
