"""logrotate takes the log of a running daemon away, and the daemon goes on writing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from monitor.simulator.server import serving
from tests.e2e.site import Site
from tests.e2e.waiting import until
from tests.support import worlds

CONFIG: Final = Path(__file__).parents[2] / "deploy" / "logrotate" / "job-monitor"
LOGS: Final = "/var/log/job-monitor/"


def logrotate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it, or skip aloud."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    found = shutil.which("logrotate", path=path)
    if found is None:
        pytest.skip("there is no logrotate: apt-get install logrotate")
    return subprocess.run(
        [found, *arguments], capture_output=True, text=True, check=False
    )


def here(directory: Path) -> Path:
    """Give the configuration for logs in *directory*."""
    text = CONFIG.read_text()
    assert f"\n{LOGS}*.log {{\n" in text
    config = directory / "logrotate.conf"
    config.write_text(text.replace(LOGS, f"{directory}/"))
    config.chmod(0o644)
    return config


def test_logrotate_understands_every_line(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text("a\n")

    done = logrotate("--debug", str(here(tmp_path)))

    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr
    assert f"considering log {tmp_path}/x.log" in done.stderr


async def test_a_daemon_goes_on_in_the_file_that_was_emptied(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o755)
    log = logs / "job-monitor.log"
    async with serving(worlds.today()) as url:
        with appending(log, Site(tmp_path, url).config) as process:
            await until(lambda: said(log, "service.started"), "it starts")
            state = str(tmp_path / "state")
            done = logrotate("--force", "--state", state, str(here(logs)))
            process.send_signal(signal.SIGHUP)
            await until(lambda: said(log, "configuration.unchanged"), "it goes on")

    assert done.returncode == 0, done.stderr
    assert not said(log, "service.started")
    assert said(log.with_name("job-monitor.log.1"), "service.started")


@contextmanager
def appending(log: Path, config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon whose stderr is appended to *log*."""
    command = [sys.executable, "-m", "monitor", "run", "--config", str(config)]
    with (
        log.open("ab") as stderr,
        subprocess.Popen(command, cwd=config.parent, stderr=stderr) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def said(log: Path, event: str) -> bool:
    return any(line["event"] == event for line in lines(log))


def lines(log: Path) -> list[dict[str, Any]]:
    whole, _, _ = log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]
